/*
 * What a protocol does to be measured: one end of a session over a wire. Each peer is a program of
 * its own, made of one file that implements this and of the shared loop (bench.c, sessions.c).
 */
#ifndef PEER_H
#define PEER_H

#include "wire.h"

/* Both ends hold the same 256-bit key, for the same 8-byte identity. */
static const uint8_t peer_key[32] = {0x5a, 1, 2, 3};
static const char peer_identity[] = "device-1";

typedef struct peer_end peer_end;

/* Once a process: what sessions share. */
void peer_start(void);

/* The memory of one end; it lives until peer_close. */
peer_end *peer_open(bool is_server, wire_end *wire);
void peer_close(peer_end *end);

/* Goes on with the handshake as far as the wire's patience lets it; true once it is over. */
bool peer_handshake(peer_end *end);

/* Sends one message. */
void peer_send(peer_end *end, const uint8_t *message, size_t len);

/* The next message; 0 if none came in time. */
size_t peer_receive(peer_end *end, uint8_t *message, size_t capacity);

#endif
