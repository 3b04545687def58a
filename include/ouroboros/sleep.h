/*
 * Sleep (section 7): a client saves an established, quiet session and goes on later without a
 * handshake. A saved session is single-use: make the copy void, durably, before you restore it, and
 * keep it where an old copy cannot come back. The copy holds keys.
 */
#ifndef OUROBOROS_SLEEP_H
#define OUROBOROS_SLEEP_H

#include "ouroboros/link.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Bytes that a saved session takes at most, at the link's own reach: 512 for the fields, a head and
 * two keys for each of 2 x reach slots. The macro is for arrays, the function for other languages.
 */
#define OURO_SAVED_SIZE(reach) ((size_t)512 + 2 * (size_t)(reach) * (4 + 64))
size_t ouro_saved_size(uint8_t reach);

/* True if the session is quiet enough to be saved. */
bool ouro_link_is_quiet(const ouro_link *link);

/*
 * Writes the session to `out` and erases it from the link, which sends and takes nothing until it
 * is restored or connected anew. A message that is stalled ends as UNKNOWN. ERR_STATE when it is
 * not quiet, ERR_TOO_LARGE when `cap` is short, ERR_CRYPTO; the link then is as it was.
 */
OURO_CHECKED ouro_status ouro_link_save(ouro_link *link, uint64_t now_ms, uint8_t *out, size_t cap,
                                        size_t *len);

/*
 * Restores a session into a client's link that has none, made with the same settings and
 * credential. `slept_ms` is the time since it was saved, 0 if that is not known: the age then is
 * what it was, and the first message asks whether the server is still there. `saved` is zeroed,
 * whatever the outcome. ERR_DAMAGED when it is not whole, is of another device or epoch, or was
 * saved by a version of this library that had another form: connect anew. ERR_STATE at a server, in
 * a stream, with a session or a handshake, and where the link closes; ERR_CRYPTO. A link that was
 * not restored may connect.
 */
OURO_CHECKED ouro_status ouro_link_restore(ouro_link *link, uint64_t now_ms, uint64_t slept_ms,
                                           uint8_t *saved, size_t len);

#ifdef __cplusplus
}
#endif

#endif
