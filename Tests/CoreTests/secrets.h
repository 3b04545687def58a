/*
 * Every key that an HMAC takes or makes is noted while a test watches; then memory is looked
 * through for those that should be gone, and the stack after each call of the engine.
 */
#ifndef SECRETS_H
#define SECRETS_H

#include "net.h"

/* From now on; `net` is what is looked through after each call, or NULL. */
void secrets_watch(net *net);
/* No more. */
void secrets_forget(void);

/* Keys seen, calls that were looked after, and what was left behind. */
typedef struct secrets_sum {
    unsigned seen, calls, on_stack, in_memory, in_places;
} secrets_sum;
extern secrets_sum secrets;

/* Keys that were seen and lie in memory, and are none of those that a link or a server uses now. */
unsigned secrets_left(const net *net);
/* Keys that were seen and lie in these bytes. */
unsigned secrets_in(const void *memory, size_t len);

/* This one is none: the salt of HKDF-Extract is both nonces. */
void secrets_public(const uint8_t key[32]);

/* Around each call that is looked after (secrets_calls.c). */
void secrets_before_call(void);
void secrets_after_call(const char *call);
/* After a step within one: the stack alone, before others use it. */
void secrets_after_step(const char *call);

#endif
