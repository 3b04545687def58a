#include "pair.h"

#include <string.h>

static uint32_t next_random(pair *p) {
    p->random = p->random * 1664525u + 1013904223u;
    return p->random >> 8;
}

static void random_bytes(pair *p, uint8_t *out, size_t len) {
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)next_random(p);
}

ouro_link *pair_link(pair *p, int side) {
    return side == PAIR_DEVICE ? &p->device.link : &p->gateway.link;
}

static void must(pair *p, ouro_status status) {
    p->trouble += status != OURO_OK;
}

static void init_device(pair *p, bool prepared) {
    pair_device *d = &p->device;
    p->settings[PAIR_DEVICE].role = OURO_CLIENT;
    p->settings[PAIR_DEVICE].reach = PAIR_REACH;
    p->settings[PAIR_DEVICE].max_body = PAIR_PACKET - OURO_OVERHEAD;
    p->memory[PAIR_DEVICE].sessions = &d->session;
    p->memory[PAIR_DEVICE].slots = d->slots;
    p->memory[PAIR_DEVICE].tails = d->tails;
    p->memory[PAIR_DEVICE].client = &d->client;
    p->memory[PAIR_DEVICE].prepared = prepared ? &d->prepared : NULL;
    p->memory[PAIR_DEVICE].pool = &d->pool;
    p->memory[PAIR_DEVICE].session_count = 1;
    p->memory[PAIR_DEVICE].tail_count = 2;
    must(p, ouro_pool_init(&d->pool, d->pool_memory, sizeof d->pool_memory, PAIR_PACKET));
    must(p, ouro_link_init(&d->link, &p->settings[PAIR_DEVICE], &p->memory[PAIR_DEVICE],
                           &p->credential, 1));
}

static void init_gateway(pair *p) {
    pair_gateway *g = &p->gateway;
    uint8_t challenge_key[32];
    p->settings[PAIR_GATEWAY].role = OURO_SERVER;
    p->settings[PAIR_GATEWAY].reach = PAIR_GATEWAY_REACH;
    p->settings[PAIR_GATEWAY].max_body = OURO_MAX_BODY;
    p->memory[PAIR_GATEWAY].sessions = g->sessions;
    p->memory[PAIR_GATEWAY].slots = g->slots;
    p->memory[PAIR_GATEWAY].paths = g->paths;
    p->memory[PAIR_GATEWAY].pool = &g->pool;
    p->memory[PAIR_GATEWAY].session_count = 2;
    p->server_settings.reach = PAIR_GATEWAY_REACH;
    p->server_settings.max_body = OURO_MAX_BODY;
    random_bytes(p, challenge_key, sizeof challenge_key);
    must(p, ouro_pool_init(&g->pool, g->pool_memory, sizeof g->pool_memory, PAIR_PACKET));
    must(p, ouro_server_init(&g->server, &p->server_settings, g->pending, 2, NULL, 0, challenge_key,
                             p->now_ms));
    ouro_device_init(&g->registered, &p->credential);
}

void pair_init(pair *p, bool prepared) {
    memset(p, 0, sizeof *p);
    p->now_ms = 1000;
    p->random = 7;
    random_bytes(p, p->credential.key, sizeof p->credential.key);
    init_device(p, prepared);
    init_gateway(p);
}

static void came(pair *p, int side, const ouro_event *e) {
    uint32_t number = 0;
    if (e->len >= 4)
        memcpy(&number, e->data, 4);
    p->trouble += e->len < 4 || number != p->number;
    for (size_t i = 4; i < e->len; i++)
        p->trouble += e->data[i] != (uint8_t)(number * 7 + i);
    p->handed_on[side]++;
    if (e->last)
        ouro_link_done(pair_link(p, side), e->session_id, e->counter);
}

static void tell(pair *p, int side) {
    ouro_event e;
    uint8_t nonce[OURO_NONCE_SIZE];
    while (ouro_link_next_event(pair_link(p, side), &e)) {
        if (e.type == OURO_EVENT_MESSAGE) {
            came(p, side, &e);
        } else if (e.type == OURO_EVENT_DELIVERED) {
            p->delivered[side]++;
        } else if (e.type == OURO_EVENT_ESTABLISHED) {
            p->established[side]++;
        } else if (e.type == OURO_EVENT_NONCE) {
            random_bytes(p, nonce, sizeof nonce);
            must(p, ouro_link_nonce(pair_link(p, side), nonce));
        } else if (e.type != OURO_EVENT_PONG) {
            p->trouble++;
        }
    }
}

static void gateway_hello(pair *p, const uint8_t *packet, size_t len) {
    pair_gateway *g = &p->gateway;
    uint8_t nonce[OURO_NONCE_SIZE], welcome[OURO_WELCOME_SIZE];
    bool moved;
    random_bytes(p, nonce, sizeof nonce);
    must(p, ouro_server_hello(&g->server, p->now_ms, &g->registered,
                              p->gateway_alive ? &g->link : NULL, packet, len, next_random(p) | 1,
                              nonce, welcome, &moved));
    must(p, ouro_link_receive(&p->device.link, p->now_ms, NULL, welcome, sizeof welcome));
    tell(p, PAIR_DEVICE);
}

static void gateway_takes(pair *p, uint8_t *packet, size_t len) {
    static const ouro_addr from = {1, {1}};
    pair_gateway *g = &p->gateway;
    ouro_opened opened;
    bool moved;
    if ((packet[0] & 15) == OURO_HELLO) {
        gateway_hello(p, packet, len);
        return;
    }
    ouro_pending *pending = ouro_server_pending(&g->server, ouro_packet_session_id(packet, len));
    if (pending == NULL) {
        must(p, ouro_link_receive(&g->link, p->now_ms, &from, packet, len));
        return;
    }
    must(p, ouro_server_open(&g->server, p->now_ms, pending, packet, len, &opened));
    if (!p->gateway_alive)
        must(p, ouro_link_init(&g->link, &p->settings[PAIR_GATEWAY], &p->memory[PAIR_GATEWAY], NULL,
                               2));
    p->gateway_alive = true;
    must(p, ouro_server_adopt(&g->server, p->now_ms, pending, &g->link, &from, &opened, &moved));
}

/* One packet of a side goes to the other; false when there was none. */
static bool carry_one(pair *p, int from) {
    static uint8_t packet[OURO_MAX_PACKET];
    uint8_t scratch[OURO_SCRATCH_SIZE];
    ouro_datagram out;
    if (from == PAIR_GATEWAY && !p->gateway_alive)
        return false;
    tell(p, from);
    must(p, ouro_link_transmit(pair_link(p, from), p->now_ms, scratch, &out));
    if (out.len == 0)
        return false;
    size_t len = out.len;
    memcpy(packet, out.data, len);
    if (from == PAIR_DEVICE)
        gateway_takes(p, packet, len);
    else
        must(p, ouro_link_receive(&p->device.link, p->now_ms, NULL, packet, len));
    if (p->gateway_alive)
        tell(p, PAIR_GATEWAY);
    tell(p, PAIR_DEVICE);
    return true;
}

void pair_carry(pair *p) {
    bool more = true;
    while (more) {
        more = carry_one(p, PAIR_DEVICE);
        more |= carry_one(p, PAIR_GATEWAY);
    }
}

void pair_wait(pair *p, uint64_t ms) {
    for (uint64_t end = p->now_ms + ms; p->now_ms < end;) {
        uint64_t next = end;
        for (int side = 0; side < 2; side++) {
            if (side == PAIR_GATEWAY && !p->gateway_alive)
                continue;
            ouro_link_tick(pair_link(p, side), p->now_ms);
            uint64_t due = ouro_link_deadline(pair_link(p, side), p->now_ms);
            if (due < next)
                next = due;
        }
        pair_carry(p);
        p->now_ms = next > p->now_ms ? next : p->now_ms + 1;
    }
}

bool pair_connect(pair *p) {
    must(p, ouro_link_connect(&p->device.link, p->now_ms));
    pair_carry(p);
    return p->established[0] > 0 && p->established[1] > 0 && p->trouble == 0;
}

bool pair_send(pair *p, int from, size_t len) {
    uint8_t data[PAIR_PACKET];
    uint32_t id, came_before = p->handed_on[1 - from], delivered_before = p->delivered[from];
    memcpy(data, &p->number, 4);
    for (size_t i = 4; i < len; i++)
        data[i] = (uint8_t)(p->number * 7 + i);
    ouro_message m;
    memset(&m, 0, sizeof m);
    m.data = data;
    m.len = len;
    m.reliable = true;
    must(p, ouro_link_send(pair_link(p, from), p->now_ms, &m, &id));
    pair_carry(p);
    p->number++;
    p->now_ms++;
    return p->handed_on[1 - from] == came_before + 1 &&
           p->delivered[from] == delivered_before + 1 && p->trouble == 0;
}
