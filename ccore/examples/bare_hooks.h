/* What bare_loop.c asks of a board. Each is a few lines on real hardware. */
#ifndef BARE_HOOKS_H
#define BARE_HOOKS_H

#include "ouroboros/ouroboros.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Milliseconds since start, never backwards; from a timer that runs while the core sleeps. */
uint64_t hook_now_ms(void);

/* From the hardware's random number generator; a repeated nonce is fatal. */
void hook_random(uint8_t *out, size_t len);

/* One datagram to the gateway, and one from it (0: none has come). */
void hook_send(const uint8_t *packet, size_t len);
size_t hook_receive(uint8_t *packet, size_t cap);

/*
 * The whole credential in non-volatile memory, as a blob (ouroboros/blob.h): it is the same
 * wherever it was made. False where there is none that does, and the board has said what is wrong
 * with it. A store returns when it is durable; until then the one before stays.
 */
bool hook_load_credential(ouro_credential *credential);
void hook_store_credential(const ouro_credential *credential);

/* A reading to send: its length, 0 when there is none yet. */
size_t hook_reading(uint8_t *out, size_t cap);
void hook_command(const uint8_t *data, size_t len);

/* Sleeps until a datagram comes, a reading is due, or that time; not at all when it is past. */
void hook_wait_until(uint64_t ms);

#ifdef __cplusplus
}
#endif

#endif
