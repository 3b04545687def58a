/*
 * Hostile input: what does not open changes nothing. The whole state of the receiver is compared
 * before and after, but for the statistics and the keys derived on the way (section 4).
 */
#include "check.h"
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KINDS = 12, SLOTS = OURO_MAX_SESSIONS * 2 * OURO_MAX_REACH };

typedef struct snapshot {
    ouro_link link;
    ouro_session sessions[OURO_MAX_SESSIONS];
    ouro_path paths[OURO_MAX_SESSIONS];
    ouro_tail tails[2];
    ouro_client client;
    ouro_slot slots[SLOTS];
} snapshot;

typedef struct made {
    uint8_t bytes[OURO_MAX_PACKET];
    size_t len;
} made;

/* Struct copies may leave padding out: memcpy does not. */
static void take(const net_side *s, snapshot *out) {
    memset(out, 0, sizeof *out);
    memcpy(&out->link, &s->link, sizeof out->link);
    memset(&out->link.stats, 0, sizeof out->link.stats);
    memcpy(out->sessions, s->sessions, sizeof out->sessions);
    for (size_t i = 0; i < OURO_MAX_SESSIONS; i++) {
        ouro_window *w = &out->sessions[i].window;
        memset(w->chain_enc, 0, sizeof w->chain_enc);
        memset(w->chain_scr, 0, sizeof w->chain_scr);
        w->keyed = 0;
    }
    memcpy(out->paths, s->paths, sizeof out->paths);
    memcpy(out->tails, s->tails, sizeof out->tails);
    memcpy(&out->client, &s->client, sizeof out->client);
    for (size_t i = 0; i < SLOTS; i++)
        if (s->slots[i].state == OURO_SLOT_OPENED)
            memcpy(&out->slots[i], &s->slots[i], sizeof out->slots[i]);
}

static uint32_t drops(const net_side *s) {
    uint32_t sum = 0;
    for (size_t i = 0; i < OURO_DROP_KINDS; i++)
        sum += s->link.stats.drops[i];
    return sum;
}

/*
 * The packet in a buffer of exactly its size, so that reading past it is seen. A message is handed
 * on while the buffer lives.
 */
static ouro_status receive(net *n, int who, const uint8_t *bytes, size_t len) {
    uint8_t *copy = malloc(len > 0 ? len : 1);
    ouro_addr elsewhere = net_address(200);
    memcpy(copy, bytes, len);
    ouro_status status = ouro_link_receive(&n->side[who].link, n->now_ms,
                                           who == GATEWAY ? &elsewhere : NULL, copy, len);
    ouro_event e;
    while (status == OURO_OK && ouro_link_next_event(&n->side[who].link, &e))
        if (e.type == OURO_EVENT_MESSAGE && e.last)
            ouro_link_done(&n->side[who].link, e.session_id, e.counter);
    free(copy);
    return status;
}

/* True if the packet is dropped and counted, and nothing else happened. */
static bool bounces(net *n, int who, const uint8_t *bytes, size_t len) {
    static snapshot before, after;
    net_side *s = &n->side[who];
    uint32_t received = s->link.stats.received, dropped = drops(s);
    take(s, &before);
    ouro_status status = receive(n, who, bytes, len);
    take(s, &after);
    bool good = ouro_is_drop(status) && s->link.stats.received == received + 1 &&
                drops(s) == dropped + 1 && memcmp(&before, &after, sizeof before) == 0;
    if (!good)
        printf("  side %d, %zu bytes of type %d: %s\n", who, len, len > 0 ? bytes[0] & 15 : -1,
               ouro_status_name(status));
    return good;
}

/* A valid packet of each type and form, none of which the other side has opened. */
static void make_all(net *n, int from, made out[KINDS]) {
    static const uint8_t plain[24] = "twenty-four plain bytes";
    static const uint8_t block[16 + 12] = {0};
    static const uint8_t gap[17] = {[16] = OURO_NACK_GAP}, busy[17] = {[16] = OURO_NACK_BUSY};
    static const uint8_t batch[8] = {0, 2, 'a', 'b', 0, 2, 'c', 'd'};
    static const uint8_t once[12] = {1, 2, 3, 4, 0, 0, 0, 9, 'x'};
    static const uint8_t all[16 + 8 + 4] = {[16] = 1, [23] = 3, [25] = 2, 'y', 'z'};
    static const uint8_t close[16 + 9] = {[24] = 20};
    out[0].len = net_make(n, from, OURO_DATA, 0, plain, 24, out[0].bytes);
    out[1].len = net_make(n, from, OURO_DATA, OURO_FLAG_ACK_REQ, plain, 0, out[1].bytes);
    out[2].len = net_make(n, from, OURO_DATA, OURO_FLAG_ACKS, block, 20, out[2].bytes);
    out[3].len = net_make(n, from, OURO_DATA, OURO_FLAG_BATCH, batch, 8, out[3].bytes);
    out[4].len = net_make(n, from, OURO_DATA, OURO_FLAG_ONCE, once, 12, out[4].bytes);
    out[5].len = net_make(n, from, OURO_DATA, 0x0f, all, sizeof all, out[5].bytes);
    out[6].len = net_make(n, from, OURO_ACK, OURO_FLAG_ACKS, block, 16, out[6].bytes);
    out[7].len = net_make(n, from, OURO_NACK, OURO_FLAG_ACKS, gap, 17, out[7].bytes);
    out[8].len = net_make(n, from, OURO_NACK, OURO_FLAG_ACKS, busy, 17, out[8].bytes);
    out[9].len = net_make(n, from, OURO_PING, 0, plain, 8, out[9].bytes);
    out[10].len = net_make(n, from, OURO_PONG, OURO_FLAG_ACKS, block, 20, out[10].bytes);
    out[11].len = net_make(n, from, OURO_CLOSE, OURO_FLAG_ACKS, close, sizeof close, out[11].bytes);
}

static void nothing(net *n, int who, const ouro_event *event) {
    (void)n;
    (void)who;
    (void)event;
}

/* An established session in mid-life: some messages each way, one of each still in flight. */
static net *lively(uint64_t seed) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    o.max_body[DEVICE] = o.max_body[GATEWAY] = 200;
    net *n = net_new(&o);
    net_connect(n);
    net_run_for(n, 1000);
    for (int i = 0; i < 10; i++) {
        (void)net_send(n, DEVICE, true, 20);
        (void)net_send(n, GATEWAY, i % 2 == 0, 20);
        net_run_for(n, 300);
    }
    n->path.down = true;
    (void)net_send(n, DEVICE, true, 20);
    (void)net_send(n, GATEWAY, true, 20);
    net_run_for(n, 10);
    n->message = nothing;
    return n;
}

/* In the end each packet is still what it was: it opens. */
static void still_open(net *n, int who, made packets[KINDS]) {
    for (size_t i = 0; i < KINDS; i++)
        CHECK(receive(n, who, packets[i].bytes, packets[i].len) == OURO_OK);
}

static void prefixes(void) {
    for (int who = 0; who < 2; who++) {
        net *n = lively(1);
        made packets[KINDS];
        make_all(n, 1 - who, packets);
        bool good = true;
        for (size_t i = 0; i < KINDS; i++) {
            for (size_t len = 0; len < packets[i].len; len++)
                good &= bounces(n, who, packets[i].bytes, len);
            good &= bounces(n, who, packets[i].bytes, packets[i].len + 1);
        }
        CHECK(good);
        still_open(n, who, packets);
        net_free(n);
    }
}

static void bit_flips(void) {
    for (int who = 0; who < 2; who++) {
        net *n = lively(2);
        made packets[KINDS];
        make_all(n, 1 - who, packets);
        bool good = true;
        for (size_t i = 0; i < KINDS; i++)
            for (size_t bit = 0; bit < packets[i].len * 8; bit++) {
                packets[i].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
                good &= bounces(n, who, packets[i].bytes, packets[i].len);
                packets[i].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            }
        CHECK(good);
        still_open(n, who, packets);
        net_free(n);
    }
}

static void length_lies(void) {
    for (int who = 0; who < 2; who++) {
        net *n = lively(3);
        made packets[KINDS];
        make_all(n, 1 - who, packets);
        bool good = true;
        for (size_t i = 0; i < KINDS; i++) {
            uint8_t a = packets[i].bytes[2], b = packets[i].bytes[3];
            for (unsigned length = 0; length <= 1300; length++) {
                if (length + 32 == packets[i].len)
                    continue;
                packets[i].bytes[2] = (uint8_t)(length >> 8);
                packets[i].bytes[3] = (uint8_t)length;
                good &= bounces(n, who, packets[i].bytes, packets[i].len);
            }
            packets[i].bytes[2] = a;
            packets[i].bytes[3] = b;
        }
        CHECK(good);
        still_open(n, who, packets);
        net_free(n);
    }
}

static void random_packets(void) {
    net *n = lively(4);
    uint8_t bytes[OURO_MAX_PACKET + 8];
    bool good = true;
    for (unsigned i = 0; i < 20000; i++) {
        int who = (int)(net_random(n) % 2);
        size_t len = net_random(n) % (i % 4 == 0 ? sizeof bytes : 100);
        for (size_t k = 0; k < len; k++)
            bytes[k] = (uint8_t)net_random(n);
        /* Most get a header that fits, to come as far as the tag. */
        if (i % 8 != 0 && len >= 48) {
            const uint8_t types[] = {0x11, 0x12, 0x13, 0x14, 0x15, 0x18, 0x17};
            const ouro_session *session = net_session(n, who);
            ouro_header h = {(uint8_t)(types[i % 7] & 15), OURO_FLAG_ACKS, (uint16_t)(len - 32),
                             session->tail.id, net_random(n) % 40};
            ouro_packet_encode(&h, bytes);
        }
        good &= bounces(n, who, bytes, len);
    }
    CHECK(good);
    net_free(n);
}

static void forged_data(const net *n, int to, uint64_t counter, uint8_t packet[56]) {
    const ouro_session *session = (const ouro_session *)(const void *)n->side[to].link.live[0];
    ouro_header h = {OURO_DATA, OURO_FLAG_ACK_REQ, 24, session->tail.id, counter};
    memset(packet, 0x33, 56);
    ouro_packet_encode(&h, packet);
}

static void forged_counters(void) {
    for (int who = 0; who < 2; who++) {
        net *n = lively(5);
        const ouro_window *w = &net_session(n, who)->window;
        uint8_t packet[56];
        uint64_t reach = 16, highest = w->next - 1;
        /* Above the window nothing is derived. */
        const uint64_t far[] = {highest + reach + 1,  highest + 1000,        UINT64_C(0xfffffffe),
                                UINT64_C(0xffffffff), UINT64_C(0x100000000), UINT64_MAX};
        uint64_t keyed = w->keyed;
        for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
            forged_data(n, who, far[i], packet);
            CHECK(bounces(n, who, packet, sizeof packet));
            CHECK_EQUAL(w->keyed, keyed);
        }
        /* Inside it the keys are derived once, and stay: none twice, and none below again. */
        forged_data(n, who, highest + 5, packet);
        CHECK(bounces(n, who, packet, sizeof packet));
        CHECK_EQUAL(w->keyed, highest + 6);
        ouro_window once = *w;
        for (uint64_t counter = highest + 5; counter > highest; counter--) {
            forged_data(n, who, counter, packet);
            packet[30] = (uint8_t)counter;
            CHECK(bounces(n, who, packet, sizeof packet));
            CHECK_EQUAL(w->keyed, once.keyed);
            CHECK_BYTES(w->chain_enc, once.chain_enc, 32);
        }
        forged_data(n, who, highest + reach, packet);
        CHECK(bounces(n, who, packet, sizeof packet));
        CHECK_EQUAL(w->keyed, highest + reach + 1);
        CHECK(bounces(n, who, packet, sizeof packet));
        CHECK_EQUAL(w->keyed, highest + reach + 1);
        /* Control counters have no upper bound but 2^32. */
        static const uint8_t ping[8];
        made good;
        good.len = net_make(n, 1 - who, OURO_PING, 0, ping, 8, good.bytes);
        for (size_t i = 0; i < 8; i++) {
            uint8_t kept = good.bytes[8 + i];
            good.bytes[8 + i] = 0xff;
            CHECK(bounces(n, who, good.bytes, good.len));
            good.bytes[8 + i] = kept;
        }
        CHECK(receive(n, who, good.bytes, good.len) == OURO_OK);
        net_free(n);
    }
}

/* A forged far-ahead counter does not keep the real message of that counter out. */
static void forged_then_real(void) {
    net *n = lively(6);
    static const uint8_t body[4];
    made packets[16];
    uint8_t forged[56];
    uint64_t highest = net_session(n, GATEWAY)->window.next - 1;
    for (size_t i = 0; i < 8; i++)
        packets[i].len = net_make(n, DEVICE, OURO_DATA, 0, body, 4, packets[i].bytes);
    for (uint64_t c = highest + 16; c > highest; c--) {
        forged_data(n, GATEWAY, c, forged);
        CHECK(bounces(n, GATEWAY, forged, sizeof forged));
    }
    for (size_t i = 8; i-- > 0;)
        CHECK(receive(n, GATEWAY, packets[i].bytes, packets[i].len) == OURO_OK);
    net_free(n);
}

/* After a packet was opened, only the acknowledgement of a duplicate may follow, 10 a second. */
static void opened_ones(void) {
    for (int who = 0; who < 2; who++) {
        net *n = lively(7);
        static const uint8_t body[24];
        made packet;
        packet.len = net_make(n, 1 - who, OURO_DATA, OURO_FLAG_ACK_REQ, body, 24, packet.bytes);
        CHECK(receive(n, who, packet.bytes, packet.len) == OURO_OK);
        net_pump(n, who);
        net_run_for(n, 500);
        n->drop[0] = n->drop[1] = UINT32_MAX;
        static snapshot before, after;
        uint32_t acks = n->side[who].types[OURO_ACK];
        uint64_t start = n->now_ms;
        for (size_t bit = 0; bit < packet.len * 8; bit++) {
            uint8_t kept = packet.bytes[bit / 8];
            for (int flip = 0; flip < 2; flip++) {
                take(&n->side[who], &before);
                CHECK(ouro_is_drop(receive(n, who, packet.bytes, packet.len)));
                take(&n->side[who], &after);
                /* The flag of the debt is the one thing that may have changed. */
                for (size_t i = 0; i < OURO_MAX_SESSIONS; i++)
                    before.sessions[i].tail.state = after.sessions[i].tail.state;
                CHECK(memcmp(&before, &after, sizeof before) == 0);
                packet.bytes[bit / 8] = (uint8_t)(kept ^ 1u << bit % 8);
            }
            packet.bytes[bit / 8] = kept;
            net_pump(n, who);
            if (bit % 4 == 0)
                net_run_for(n, 1);
        }
        acks = n->side[who].types[OURO_ACK] - acks;
        CHECK(acks >= 1 && acks <= 1 + (n->now_ms - start) / 100);
        net_free(n);
    }
}

static void opened_control(void) {
    net *n = lively(8);
    made packets[KINDS];
    make_all(n, DEVICE, packets);
    for (size_t i = 6; i < 11; i++) {
        CHECK(receive(n, GATEWAY, packets[i].bytes, packets[i].len) == OURO_OK);
        net_pump(n, GATEWAY);
    }
    for (size_t i = 6; i < 11; i++)
        CHECK(bounces(n, GATEWAY, packets[i].bytes, packets[i].len));
    /* Older than 63 below the highest is dropped, though it never came. */
    made late, oldest, newer;
    static const uint8_t body[8];
    late.len = net_make(n, DEVICE, OURO_PING, 0, body, 8, late.bytes);
    oldest.len = net_make(n, DEVICE, OURO_PING, 0, body, 8, oldest.bytes);
    for (int i = 0; i < 63; i++)
        newer.len = net_make(n, DEVICE, OURO_PING, 0, body, 8, newer.bytes);
    CHECK(receive(n, GATEWAY, newer.bytes, newer.len) == OURO_OK);
    net_pump(n, GATEWAY);
    CHECK(bounces(n, GATEWAY, late.bytes, late.len));
    CHECK(receive(n, GATEWAY, oldest.bytes, oldest.len) == OURO_OK);
    net_free(n);
}

/* HELLO, WELCOME and the first packet of a pending session. */
static void handshake_packets(void) {
    static ouro_pending pendings[32];
    ouro_server server;
    ouro_device device;
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 9;
    net *n = net_new(&o);
    n->drop[DEVICE] = 1u << OURO_HELLO;
    net_connect(n);
    uint8_t packet[OURO_MAX_PACKET], copy[OURO_MAX_PACKET];
    size_t len = n->last_len[DEVICE];
    memcpy(packet, n->last[DEVICE], len);
    memcpy(&server, &n->server, sizeof server);
    memcpy(&device, &n->device, sizeof device);
    memcpy(pendings, n->pending, sizeof pendings);
    for (size_t bit = 0; bit < len * 8 * 2; bit++) {
        size_t cut = bit < len * 8 ? len : bit / 16;
        memcpy(copy, packet, len);
        if (bit < len * 8)
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK(ouro_is_drop(net_inject(n, GATEWAY, &n->side[DEVICE].addr, copy, cut)));
    }
    CHECK(memcmp(&server, &n->server, sizeof server) == 0);
    CHECK(memcmp(&device, &n->device, sizeof device) == 0);
    CHECK(memcmp(pendings, n->pending, sizeof pendings) == 0);
    /* The real one makes a WELCOME, which is cut and flipped in turn. */
    n->drop[GATEWAY] = 1u << OURO_WELCOME;
    CHECK(net_inject(n, GATEWAY, &n->side[DEVICE].addr, packet, len) == OURO_OK);
    len = n->last_len[GATEWAY];
    memcpy(packet, n->last[GATEWAY], len);
    bool good = true;
    for (size_t bit = 0; bit < len * 8; bit++) {
        packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
        good &= bounces(n, DEVICE, packet, len);
        packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
        good &= bounces(n, DEVICE, packet, bit / 8);
    }
    CHECK(good);
    n->drop[DEVICE] = 1u << OURO_PING;
    CHECK(net_inject(n, DEVICE, NULL, packet, len) == OURO_OK);
    /* The first packet: nothing is confirmed, and the pending session stays. */
    len = n->last_len[DEVICE];
    memcpy(packet, n->last[DEVICE], len);
    CHECK_EQUAL(packet[0] & 15, OURO_PING);
    for (size_t bit = 0; bit < len * 8; bit++) {
        memcpy(copy, packet, len);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK(ouro_is_drop(net_inject(n, GATEWAY, &n->side[DEVICE].addr, copy, len)));
        memcpy(copy, packet, len);
        CHECK(ouro_is_drop(net_inject(n, GATEWAY, &n->side[DEVICE].addr, copy, bit / 8)));
    }
    CHECK(!n->side[GATEWAY].alive);
    CHECK_EQUAL(n->server.pending_used, 1);
    CHECK(net_inject(n, GATEWAY, &n->side[DEVICE].addr, packet, len) == OURO_OK);
    CHECK(n->side[GATEWAY].alive);
    net_free(n);
}

void hostile_tests(void) {
    RUN(prefixes);
    RUN(bit_flips);
    RUN(length_lies);
    RUN(random_packets);
    RUN(forged_counters);
    RUN(forged_then_real);
    RUN(opened_ones);
    RUN(opened_control);
    RUN(handshake_packets);
}
