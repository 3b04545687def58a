/*
 * A small device and its gateway in one image, joined without a network: what one sends the other
 * takes at once. The device has the memory that the documentation promises: reach 8, 4 places of
 * 128 bytes, one window, two tails.
 */
#ifndef OURO_PAIR_H
#define OURO_PAIR_H

#include "ouroboros/ouroboros.h"

enum { PAIR_DEVICE = 0, PAIR_GATEWAY = 1 };
enum { PAIR_REACH = 8, PAIR_PLACES = 4, PAIR_PACKET = 128, PAIR_GATEWAY_REACH = 16 };
#define PAIR_POOL_WORDS ((PAIR_PLACES * (sizeof(ouro_place) + PAIR_PACKET) + 7) / sizeof(uint64_t))

/* All that a small client takes. */
typedef struct pair_device {
    ouro_link link;
    ouro_client client;
    ouro_session session;
    ouro_slot slots[2 * PAIR_REACH];
    ouro_tail tails[2];
    ouro_prepared prepared;
    ouro_pool pool;
    uint64_t pool_memory[PAIR_POOL_WORDS];
} pair_device;

typedef struct pair_gateway {
    ouro_link link;
    ouro_session sessions[2];
    ouro_slot slots[2 * 2 * PAIR_GATEWAY_REACH];
    ouro_path paths[2];
    ouro_pool pool;
    uint64_t pool_memory[PAIR_POOL_WORDS];
    ouro_server server;
    ouro_pending pending[2];
    ouro_device registered;
} pair_gateway;

typedef struct pair {
    uint64_t now_ms;
    uint32_t random;
    pair_device device;
    pair_gateway gateway;
    ouro_credential credential;
    ouro_settings settings[2];
    ouro_memory memory[2];
    ouro_server_settings server_settings;
    bool gateway_alive;
    unsigned established[2];
    uint32_t handed_on[2]; /* messages that came to a side */
    uint32_t delivered[2]; /* messages that a side sent and that were acknowledged */
    uint32_t number;       /* of the next message */
    unsigned trouble;      /* things that may never happen */
} pair;

void pair_init(pair *p, bool prepared);

ouro_link *pair_link(pair *p, int side);

/* Makes a session; true when both sides have it. */
bool pair_connect(pair *p);

/* Sends `len` (4 to 80) bytes; true when they came once, unchanged, and are acknowledged. */
bool pair_send(pair *p, int from, size_t len);

/* Carries packets until neither side has one to send. */
void pair_carry(pair *p);

/* Runs the clock and all that is due on the way. */
void pair_wait(pair *p, uint64_t ms);

#endif
