#include "net_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void net_trouble(net *n, const char *what) {
    if (n->trouble++ < 5)
        printf("  at %llu ms: %s\n", (unsigned long long)n->now_ms, what);
}

uint32_t net_random(net *n) {
    /* splitmix64 */
    uint64_t z = (n->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) >> 16);
}

double net_chance(net *n) {
    return net_random(n) / 4294967296.0;
}

void net_random_bytes(net *n, uint8_t *out, size_t len) {
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)net_random(n);
}

static ouro_addr address(uint8_t host, uint8_t port) {
    ouro_addr a;
    memset(&a, 0, sizeof a);
    a.len = 2;
    a.bytes[0] = host;
    a.bytes[1] = port;
    return a;
}

static void init_server(net *n) {
    uint8_t key[32];
    net_random_bytes(n, key, sizeof key);
    if (ouro_server_init(&n->server, &n->server_settings, n->pending, 32, n->ahead,
                         n->ahead == NULL ? 0 : OURO_AHEAD_DEVICES, key, n->now_ms) != OURO_OK)
        net_trouble(n, "the server does not initialise");
    ouro_device_init(&n->device, &n->durable[GATEWAY]);
}

static void init_side(net *n, int who, const net_options *o) {
    net_side *s = &n->side[who];
    s->settings.role = who == DEVICE ? OURO_CLIENT : OURO_SERVER;
    s->settings.reach = o->reach[who] != 0 ? o->reach[who] : 16;
    s->settings.max_body = o->max_body[who] != 0 ? o->max_body[who] : 1200;
    s->settings.stream = o->stream;
    s->settings.keep_alive_ms = who == DEVICE ? o->keep_alive_ms : 0;
    s->settings.rekey_packets = o->rekey_packets;
    s->settings.rekey_age_ms = o->rekey_age_ms;
    s->queue_cap = -1;
    s->addr = address((uint8_t)(who + 1), 1);
    bool small = o->small && who == DEVICE;
    s->memory.sessions = s->sessions;
    s->memory.slots = o->stream ? NULL : s->slots;
    s->memory.tails = small ? s->tails : NULL;
    s->memory.tail_count = small ? 2 : 0;
    s->memory.session_count = small || o->stream ? 1 : who == DEVICE ? 3 : 2;
    s->memory.paths = who == GATEWAY ? s->paths : NULL;
    s->memory.client = who == DEVICE ? &s->client : NULL;
    s->memory.prepared = o->prepare ? &s->prepared : NULL;
    s->memory.pool = &s->pool;
    size_t places = o->places != 0 ? o->places : NET_PLACES;
    size_t cap = o->packet_cap != 0 ? o->packet_cap : OURO_MAX_PACKET;
    if (ouro_pool_init(&s->pool, s->pool_memory, ouro_pool_memory(places, cap), cap) != OURO_OK)
        net_trouble(n, "a pool does not initialise");
}

net *net_new(const net_options *o) {
    net *n = calloc(1, sizeof *n);
    n->packets = calloc(NET_PACKETS, sizeof *n->packets);
    n->random = o->seed;
    n->now_ms = 1000;
    n->path.delay_ms = 50;
    for (int who = 0; who < 2; who++) {
        init_side(n, who, o);
        net_random_bytes(n, n->durable[DEVICE].key, 32);
        n->durable[who].evolving = o->evolving;
        memcpy(n->durable[who].device_id, "\1\2\3\4\5\6\7\10", 8);
    }
    n->durable[GATEWAY] = n->durable[DEVICE];
    if (o->evolving)
        n->ahead = calloc(OURO_AHEAD_DEVICES, sizeof *n->ahead);
    n->server_settings.reach = n->side[GATEWAY].settings.reach;
    n->server_settings.max_body = n->side[GATEWAY].settings.max_body;
    n->server_settings.stream = o->stream;
    init_server(n);
    net_init_link(n, DEVICE);
    return n;
}

void net_free(net *n) {
    for (int who = 0; who < 2; who++)
        if (n->side[who].alive)
            ouro_link_erase(&n->side[who].link);
    ouro_server_erase(&n->server);
    free(n->ahead);
    free(n->packets);
    free(n->log);
    free(n);
}

ouro_addr net_address(uint8_t port) {
    return address(1, port);
}

ouro_session *net_session(net *n, int who) {
    /* A full session begins with its tail. */
    return (ouro_session *)(void *)n->side[who].link.live[0];
}

static uint64_t next_time(net *n) {
    uint64_t next = ouro_server_tick(&n->server, n->now_ms);
    for (size_t i = 0; i < n->packet_count; i++)
        if (n->packets[i].at_ms < next)
            next = n->packets[i].at_ms;
    for (int who = 0; who < 2; who++) {
        if (!n->side[who].alive)
            continue;
        uint64_t deadline = ouro_link_deadline(&n->side[who].link, n->now_ms);
        if (deadline < next)
            next = deadline;
    }
    return next;
}

static void tick(net *n) {
    for (int who = 0; who < 2; who++) {
        ouro_link *link = &n->side[who].link;
        if (!n->side[who].alive || (!n->eager && ouro_link_deadline(link, n->now_ms) > n->now_ms))
            continue;
        ouro_link_tick(link, n->now_ms);
        net_pump(n, who);
    }
}

void net_run_until(net *n, uint64_t until) {
    enum { STILL = 8 };
    unsigned still = 0;
    for (;;) {
        net_deliver_due(n);
        tick(n);
        uint64_t next = next_time(n);
        if (n->eager && next > n->now_ms)
            next = n->now_ms + 1;
        if (next > until)
            break;
        /* A deadline that does not move on is a hang. */
        still = next <= n->now_ms ? still + 1 : 0;
        if (still > STILL) {
            net_trouble(n, "the clock stands still");
            break;
        }
        if (next > n->now_ms)
            n->now_ms = next;
    }
    n->now_ms = until;
}

void net_run_for(net *n, uint64_t ms) {
    net_run_until(n, n->now_ms + ms);
}

uint32_t net_send_message(net *n, int from, const ouro_message *message) {
    net_side *s = &n->side[from];
    uint32_t number = s->count, id = 0;
    if (!s->alive || number == NET_MESSAGES ||
        ouro_link_send(&s->link, n->now_ms, message, &id) != OURO_OK)
        return UINT32_MAX;
    s->count++;
    s->ids[id] = number;
    memset(&s->messages[number], 0, sizeof s->messages[number]);
    s->messages[number].sent_ms = n->now_ms;
    s->messages[number].reliable = message->reliable;
    net_pump(n, from);
    return number;
}

uint32_t net_send(net *n, int from, bool reliable, size_t len) {
    uint8_t data[OURO_MAX_BODY];
    uint32_t number = n->side[from].count;
    memcpy(data, &number, 4);
    for (size_t i = 4; i < len; i++)
        data[i] = (uint8_t)(number * 7 + i);
    ouro_message m;
    memset(&m, 0, sizeof m);
    m.data = data;
    m.len = len;
    m.reliable = reliable;
    return net_send_message(n, from, &m);
}

void net_connect(net *n) {
    if (ouro_link_connect(&n->side[DEVICE].link, n->now_ms) != OURO_OK)
        net_trouble(n, "connect fails");
    net_pump(n, DEVICE);
}

net *net_connected(const net_options *options, uint64_t one_way) {
    net *n = net_new(options);
    n->path.delay_ms = one_way;
    net_connect(n);
    net_run_for(n, 10000 + 6 * one_way);
    if (n->side[GATEWAY].established != 1 || n->side[DEVICE].established != 1)
        net_trouble(n, "the handshake fails");
    net_record(n);
    return n;
}

uint64_t net_counter(const uint8_t *packet) {
    uint64_t counter = 0;
    for (size_t i = 8; i < 16; i++)
        counter = counter << 8 | packet[i];
    return counter;
}

size_t net_make(net *n, int from, uint8_t type, uint8_t flags, const uint8_t *body, size_t len,
                uint8_t packet[OURO_MAX_PACKET]) {
    uint64_t counter;
    if (len > 0)
        memcpy(packet + OURO_HEADER_SIZE, body, len);
    if (ouro_session_protect(net_session(n, from), type, flags, packet, len, &counter) != OURO_OK)
        net_trouble(n, "a packet is not made");
    return len + OURO_OVERHEAD;
}

ouro_status net_give(net *n, int from, uint8_t type, uint8_t flags, const uint8_t *body,
                     size_t len) {
    uint8_t packet[OURO_MAX_PACKET];
    size_t size = net_make(n, from, type, flags, body, len, packet);
    return net_inject(n, 1 - from, from == DEVICE ? &n->side[DEVICE].addr : NULL, packet, size);
}

static void write_block(uint8_t block[16], uint64_t highest, uint64_t bitmap) {
    for (size_t i = 0; i < 8; i++) {
        block[i] = (uint8_t)(highest >> (56 - 8 * i));
        block[8 + i] = (uint8_t)(bitmap >> (56 - 8 * i));
    }
}

ouro_status net_acknowledge(net *n, int from, uint64_t highest, uint64_t bitmap) {
    uint8_t block[16];
    write_block(block, highest, bitmap);
    return net_give(n, from, OURO_ACK, OURO_FLAG_ACKS, block, sizeof block);
}

ouro_status net_busy(net *n, int from) {
    uint8_t body[17];
    ouro_ack_block block = {0, 0};
    if (!ouro_tail_ack_block(&net_session(n, from)->tail, &block))
        net_trouble(n, "a BUSY before anything was handed on");
    write_block(body, block.highest, block.bitmap);
    body[16] = OURO_NACK_BUSY;
    return net_give(n, from, OURO_NACK, OURO_FLAG_ACKS, body, sizeof body);
}

static bool all_ended(const net *n) {
    for (int who = 0; who < 2; who++)
        for (uint32_t i = 0; i < n->side[who].count; i++)
            if (n->side[who].messages[i].outcome == PENDING)
                return false;
    return true;
}

bool net_settle(net *n, uint64_t limit) {
    uint64_t end = n->now_ms + limit;
    while (!all_ended(n) && n->now_ms < end) {
        uint64_t step = n->now_ms + 1000;
        net_run_until(n, step);
    }
    return all_ended(n);
}

void net_restart(net *n, int who) {
    net_side *s = &n->side[who];
    /* Messages without an outcome are the restarted application's problem. */
    for (uint32_t i = 0; i < s->count; i++)
        if (s->messages[i].outcome == PENDING)
            s->messages[i].outcome = UNKNOWN;
    if (s->alive)
        ouro_link_erase(&s->link);
    s->alive = false;
    if (who == DEVICE) {
        net_init_link(n, DEVICE);
    } else {
        ouro_server_forget(&n->server, &n->device);
        ouro_server_erase(&n->server);
        init_server(n);
    }
}

void net_move(net *n, uint8_t port) {
    n->side[DEVICE].addr = address(1, port);
}

uint32_t net_count(const net *n, int from, net_outcome outcome) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < n->side[from].count; i++)
        count += n->side[from].messages[i].outcome == outcome;
    return count;
}
