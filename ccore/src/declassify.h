/*
 * Says that bytes which came from a secret are public. It does nothing in the engine; where secrets
 * are tracked (make secrets) it tells the tracker. There are three kinds: the pairing numbers of
 * the scramble (section 4), whether a tag is right, which shows in what happens to the packet, and
 * whether a stored key is nothing but zeros.
 */
#ifndef OURO_DECLASSIFY_H
#define OURO_DECLASSIFY_H

#include <stddef.h>

#ifdef OURO_TRACK_SECRETS
#include <valgrind/memcheck.h>
#endif

static inline void declassify(const void *bytes, size_t len) {
#ifdef OURO_TRACK_SECRETS
    (void)VALGRIND_MAKE_MEM_DEFINED(bytes, len);
#else
    (void)bytes;
    (void)len;
#endif
}

#endif
