/* The scramble over keystream that was made ahead, while the device was idle. */
#ifndef OURO_SCRAMBLE_INTERNAL_H
#define OURO_SCRAMBLE_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

/* Keystream of one round: a u32, then a bit a pair (section 4). */
#define OURO_ROUND_BYTES(len) (4 + ((len) + 15) / 16)

/* Bytes of keystream that a body of `len` bytes takes. */
size_t ouro_scramble_stream_size(size_t len);

/* Scrambles with `stream`, which holds ouro_scramble_stream_size(len) bytes and the spare ones. */
void ouro_scramble_with(const uint8_t *stream, uint8_t *body, size_t len);

#endif
