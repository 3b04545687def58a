/* Protect and open without a link: directions, counters, limits, prepared messages, erasure. */
#include "check.h"

#include "ouroboros/session.h"
#include <string.h>

typedef struct ends {
    ouro_session client, server;
    ouro_slot client_slots[32], server_slots[32];
} ends;

static void make(ends *e) {
    uint8_t up[32], down[32];
    memset(up, 1, 32);
    memset(down, 2, 32);
    CHECK_EQUAL(ouro_session_init(&e->client, OURO_CLIENT, 9, up, down, e->client_slots, 16),
                OURO_OK);
    CHECK_EQUAL(ouro_session_init(&e->server, OURO_SERVER, 9, up, down, e->server_slots, 16),
                OURO_OK);
}

static size_t protect(ouro_session *session, uint8_t type, const char *text, uint8_t *packet) {
    uint64_t counter;
    size_t len = strlen(text);
    memcpy(packet + OURO_HEADER_SIZE, text, len);
    CHECK_EQUAL(ouro_session_protect(session, type, 0, packet, len, &counter), OURO_OK);
    return OURO_OVERHEAD + len;
}

static ouro_status open_at(ouro_session *session, uint8_t *packet, size_t len, const char *text) {
    ouro_header header;
    ouro_body body;
    CHECK_EQUAL(ouro_packet_decode(packet, len, OURO_MAX_BODY, &header), OURO_OK);
    ouro_status status = header.type == OURO_DATA
                             ? ouro_session_open(session, &header, packet, &body)
                             : ouro_tail_open(&session->tail, &header, packet, &body);
    if (status == OURO_OK) {
        CHECK_EQUAL(body.len, strlen(text));
        CHECK_BYTES(body.data, (const uint8_t *)text, body.len);
    }
    return status;
}

static void both_directions(void) {
    ends e;
    uint8_t packet[64], again[64];
    make(&e);
    for (int i = 0; i < 40; i++) {
        size_t len = protect(&e.client, OURO_DATA, "up", packet);
        memcpy(again, packet, len);
        CHECK_EQUAL(open_at(&e.server, packet, len, "up"), OURO_OK);
        CHECK_EQUAL(open_at(&e.server, again, len, "up"), OURO_DROP_DUPLICATE);
        /* What a side sent does not open there. */
        len = protect(&e.client, OURO_PING, "x", packet);
        CHECK_EQUAL(open_at(&e.client, packet, len, "x"), OURO_DROP_AUTH);
        len = protect(&e.server, OURO_PING, "down", packet);
        memcpy(again, packet, len);
        CHECK_EQUAL(open_at(&e.client, packet, len, "down"), OURO_OK);
        CHECK_EQUAL(open_at(&e.client, again, len, "down"), OURO_DROP_REPLAY);
    }
}

/* Prepared or not, the packet is the same bytes. */
static void prepared_is_the_same(void) {
    static const char *texts[] = {"", "1", "a reading", "a reading of twenty b",
                                  "more than was expected and than was prepared for, by far"};
    ends plain, ahead;
    ouro_prepared prepared;
    make(&plain);
    make(&ahead);
    memset(&prepared, 0, sizeof prepared);
    ahead.client.prepared = &prepared;
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < 5; i++) {
            uint8_t a[128], b[128];
            CHECK_EQUAL(ouro_session_prepare(&ahead.client, 9), OURO_OK);
            CHECK_EQUAL(ouro_session_prepare(&ahead.client, round == 2 ? 21 : 9), OURO_OK);
            CHECK(prepared.ready);
            size_t len = protect(&plain.client, OURO_DATA, texts[i], a);
            CHECK_EQUAL(protect(&ahead.client, OURO_DATA, texts[i], b), len);
            CHECK_BYTES(a, b, len);
            CHECK(!prepared.keyed);
        }
    static const ouro_prepared none;
    CHECK_BYTES((const uint8_t *)&prepared, (const uint8_t *)&none, sizeof none);
}

static void control_window(void) {
    ends e;
    uint8_t packets[80][64];
    size_t len = 0;
    make(&e);
    for (int i = 0; i < 80; i++)
        len = protect(&e.client, OURO_PING, "p", packets[i]);
    CHECK_EQUAL(open_at(&e.server, packets[79], len, "p"), OURO_OK);
    CHECK_EQUAL(open_at(&e.server, packets[16], len, "p"), OURO_OK);
    CHECK_EQUAL(open_at(&e.server, packets[15], len, "p"), OURO_DROP_REPLAY);
    /* Control packets never move the message window. */
    CHECK_EQUAL(e.server.window.next, 0);
    /* A jump of any size is taken. */
    e.client.tail.tx_control_next = 0xfffe0000;
    len = protect(&e.client, OURO_PING, "p", packets[0]);
    CHECK_EQUAL(open_at(&e.server, packets[0], len, "p"), OURO_OK);
}

static void limits(void) {
    ends e;
    uint8_t packet[64];
    uint64_t counter;
    make(&e);
    e.client.tail.tx_next = UINT32_MAX;
    CHECK_EQUAL(ouro_session_protect(&e.client, OURO_DATA, 0, packet, 0, &counter), OURO_END_LIMIT);
    e.client.tail.tx_control_next = OURO_COUNTER_LIMIT - 0x10000;
    CHECK_EQUAL(ouro_session_protect(&e.client, OURO_PING, 0, packet, 0, &counter), OURO_END_LIMIT);
    CHECK_EQUAL(ouro_session_protect(&e.client, OURO_CLOSE, 0, packet, 9, &counter), OURO_OK);
    e.client.tail.tx_control_next = OURO_COUNTER_LIMIT;
    CHECK_EQUAL(ouro_session_protect(&e.client, OURO_ACK, 0, packet, 0, &counter), OURO_END_LIMIT);
}

static void ack_block_of_what_was_done(void) {
    ends e;
    ouro_ack_block block;
    make(&e);
    ouro_tail *tail = &e.server.tail;
    CHECK(!ouro_tail_ack_block(tail, &block));
    static const uint64_t order[] = {2, 0, 5, 70, 69, 6, 1};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        ouro_tail_done(tail, order[i]);
    CHECK(ouro_tail_ack_block(tail, &block));
    CHECK_EQUAL(block.highest, 70);
    for (uint64_t n = 6; n < 71; n++)
        CHECK_EQUAL(ouro_ack_block_names(&block, n), n == 70 || n == 69 || n == 6);
    ouro_tail_done(tail, 71);
    ouro_tail_done(tail, 71 + 64);
    CHECK(ouro_tail_ack_block(tail, &block));
    CHECK_EQUAL(block.highest, 135);
    CHECK_EQUAL(block.bitmap, UINT64_C(1) << 63);
    ouro_tail_done(tail, 135 + 65);
    CHECK(ouro_tail_ack_block(tail, &block));
    CHECK_EQUAL(block.bitmap, 0);
}

static void erasure(void) {
    ends e;
    static const ouro_session none;
    make(&e);
    ouro_session_erase(&e.client);
    CHECK_BYTES((const uint8_t *)&e.client, (const uint8_t *)&none, sizeof none);
    static const ouro_slot empty;
    for (size_t i = 0; i < 32; i++)
        CHECK_BYTES((const uint8_t *)&e.client_slots[i], (const uint8_t *)&empty, sizeof empty);
}

void session_tests(void) {
    RUN(both_directions);
    RUN(prepared_is_the_same);
    RUN(control_window);
    RUN(limits);
    RUN(ack_block_of_what_was_done);
    RUN(erasure);
}
