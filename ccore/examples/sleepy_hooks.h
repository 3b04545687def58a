/* What sleepy_loop.c asks of a board beside bare_hooks.h. */
#ifndef SLEEPY_HOOKS_H
#define SLEEPY_HOOKS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The saved session, and the milliseconds since it was stored (0 if they are not known); 0 bytes if
 * there is none. The stored copy is void, durably, when this returns: it may never be taken twice.
 */
size_t hook_take_session(uint8_t *out, size_t cap, uint64_t *slept_ms);

/* Returns when the session is durable. It holds keys. */
void hook_store_session(const uint8_t *saved, size_t len);

#ifdef __cplusplus
}
#endif

#endif
