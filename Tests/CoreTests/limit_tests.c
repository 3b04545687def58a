/* Counters near their end, and links that close before they have a session. */
#include "check.h"
#include "net.h"

#include <string.h>

enum { MINUTE = 60000 };
#define END UINT64_C(0x100000000)

/* One message went each way. */
static net *warm(uint64_t seed) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    net *n = net_connected(&o, 50);
    (void)net_send(n, DEVICE, true, 20);
    (void)net_send(n, GATEWAY, true, 20);
    net_run_for(n, 5000);
    return n;
}

/* Both sides' next message counter of a direction, as if so many had been sent. */
static void set_messages(net *n, int from, uint32_t next) {
    ouro_session *tx = net_session(n, from), *rx = net_session(n, 1 - from);
    CHECK_EQUAL(tx->tail.tx_next, rx->window.keyed);
    tx->tail.tx_next = tx->tail.acked_next = next;
    rx->window.keyed = rx->window.next = rx->gap_next = next;
    rx->tail.done_next = next;
    rx->tail.done_bitmap = UINT64_MAX;
    memset(rx->window.slots, 0, 2u * rx->window.reach * sizeof *rx->window.slots);
}

static void replaced_in_time(void) {
    for (int from = 0; from < 2; from++) {
        net *n = warm(1);
        set_messages(n, from, (uint32_t)(END - 0x100000 - 10));
        for (int i = 0; i < 40; i++) {
            CHECK(net_send(n, from, true, 20) != UINT32_MAX);
            net_run_for(n, 30);
        }
        CHECK(net_settle(n, MINUTE));
        CHECK_EQUAL(net_count(n, from, DELIVERED), 41);
        CHECK_EQUAL(n->side[DEVICE].established, 2);
        CHECK_EQUAL(n->side[GATEWAY].established, 2);
        CHECK_EQUAL(n->trouble, 0);
        net_free(n);
    }
}

/* 2^32 and above is never sent; what has no counter waits for the next session. */
static void no_message_counter_is_left(void) {
    net *n = warm(2);
    n->side[GATEWAY].settings.rekey_packets = UINT64_MAX; /* it does not ask; the client may not */
    set_messages(n, DEVICE, (uint32_t)(END - 6));
    n->drop[DEVICE] = 1u << OURO_HELLO;
    for (int i = 0; i < 20; i++)
        (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 20000);
    CHECK(ouro_link_sent_messages(&n->side[DEVICE].link) <= END);
    CHECK(ouro_link_sent_messages(&n->side[DEVICE].link) >= END - 2);
    CHECK(net_count(n, DEVICE, DELIVERED) >= 1 + 4);
    CHECK(net_count(n, DEVICE, DELIVERED) <= 1 + 6);
    CHECK_EQUAL(net_count(n, DEVICE, UNKNOWN) + net_count(n, DEVICE, FAILED), 0);
    n->drop[DEVICE] = 0;
    CHECK(net_settle(n, 10 * MINUTE));
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 21);
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

static bool small_control;

/* Above 2^32 - 2^16 only ACK and CLOSE take control counters. */
static bool watch_control(net *n, int from, const uint8_t *packet, size_t len) {
    (void)n;
    (void)len;
    int type = packet[0] & 15;
    if (from != DEVICE || type == OURO_DATA || type == OURO_HELLO)
        return type == OURO_HELLO; /* no new session comes to help */
    if (net_counter(packet) >= END - 0x10000 && type != OURO_ACK && type != OURO_CLOSE)
        small_control = false;
    return false;
}

static void few_control_counters_are_left(void) {
    net *n = warm(3);
    /* Neither side asks for a new session, which would be the usual way out. */
    n->side[DEVICE].settings.rekey_packets = n->side[GATEWAY].settings.rekey_packets = UINT64_MAX;
    net_session(n, DEVICE)->tail.tx_control_next = END - 0x10000 - 1;
    n->filter = watch_control;
    small_control = true;
    for (int i = 0; i < 5; i++) {
        if (ouro_link_ping(&n->side[DEVICE].link) == OURO_OK)
            net_pump(n, DEVICE);
        if (ouro_link_ping(&n->side[GATEWAY].link) == OURO_OK)
            net_pump(n, GATEWAY);
        (void)net_send(n, GATEWAY, true, 20);
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 5000);
    }
    CHECK(small_control);
    CHECK_EQUAL(net_count(n, GATEWAY, DELIVERED), 6);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 6);
    CHECK_EQUAL(n->trouble, 0);
    CHECK(ouro_link_close(&n->side[DEVICE].link, n->now_ms, OURO_REASON_NORMAL, false) == OURO_OK);
    net_pump(n, DEVICE);
    net_run_for(n, 5000);
    CHECK_EQUAL(n->side[GATEWAY].closed, 1);
    net_free(n);
}

/* What was queued when close was asked for goes out first, also if the session is still to come. */
static void closed_before_the_session(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 4;
    net *n = net_new(&o);
    for (int i = 0; i < 10; i++)
        (void)net_send(n, DEVICE, true, 20);
    CHECK(ouro_link_close(&n->side[DEVICE].link, n->now_ms, OURO_REASON_NORMAL, false) == OURO_OK);
    net_run_for(n, 10000);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 10);
    CHECK_EQUAL(n->side[GATEWAY].closed, 1);
    CHECK(ouro_link_is_closed(&n->side[DEVICE].link));
    CHECK_EQUAL(n->side[DEVICE].closed, 1);
    net_free(n);
}

/* Asked for while a new session is made: at each step of that. */
static void closed_while_replacing(void) {
    for (uint64_t at = 0; at <= 300; at += 25) {
        net *n = warm(7);
        for (int i = 0; i < 10; i++)
            (void)net_send(n, DEVICE, true, 20);
        CHECK(ouro_link_rekey(&n->side[DEVICE].link, n->now_ms) == OURO_OK);
        net_pump(n, DEVICE);
        net_run_for(n, at);
        for (int i = 0; i < 10; i++)
            (void)net_send(n, DEVICE, true, 20);
        CHECK(ouro_link_close(&n->side[DEVICE].link, n->now_ms, OURO_REASON_NORMAL, false) ==
              OURO_OK);
        net_pump(n, DEVICE);
        net_run_for(n, 45000 + 3 * 8000);
        CHECK(ouro_link_is_closed(&n->side[DEVICE].link));
        CHECK_EQUAL(n->side[DEVICE].closed, 1);
        CHECK_EQUAL(n->side[GATEWAY].closed, 1);
        CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 21);
        CHECK_EQUAL(n->trouble, 0);
        net_free(n);
    }
}

static void closed_where_nobody_answers(void) {
    for (int at_once = 0; at_once < 2; at_once++) {
        net_options o;
        memset(&o, 0, sizeof o);
        o.seed = 5;
        net *n = net_new(&o);
        n->path.down = true;
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 3000);
        uint64_t start = n->now_ms;
        CHECK(ouro_link_close(&n->side[DEVICE].link, n->now_ms, OURO_REASON_NORMAL, at_once == 1) ==
              OURO_OK);
        net_pump(n, DEVICE);
        net_run_until(n, start + 44000);
        CHECK_EQUAL(ouro_link_is_closed(&n->side[DEVICE].link), at_once);
        net_run_until(n, start + 46000);
        CHECK(ouro_link_is_closed(&n->side[DEVICE].link));
        CHECK_EQUAL(n->side[DEVICE].messages[0].outcome, FAILED);
        CHECK_EQUAL(n->side[DEVICE].closed, 1);
        uint64_t packets = n->side[DEVICE].packets;
        n->path.down = false;
        net_run_for(n, 60 * MINUTE);
        CHECK_EQUAL(n->side[DEVICE].packets, packets);
        net_free(n);
    }
}

/* A message above the peer's max_body is refused, one of exactly that goes, with no ack block. */
static void as_long_as_the_peer_takes(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 6;
    o.max_body[GATEWAY] = 100;
    net *n = net_connected(&o, 50);
    CHECK_EQUAL(ouro_link_max_message(&n->side[DEVICE].link, false), 100);
    CHECK_EQUAL(ouro_link_max_message(&n->side[DEVICE].link, true), 92);
    CHECK(net_send(n, DEVICE, true, 101) == UINT32_MAX);
    for (size_t len = 80; len <= 100; len++) {
        (void)net_send(n, GATEWAY, true, 20); /* so that an ack block would like to go along */
        net_run_for(n, 50);
        CHECK(net_send(n, DEVICE, true, len) != UINT32_MAX);
        net_run_for(n, 1000);
    }
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 21);
    CHECK_EQUAL(n->side[GATEWAY].link.stats.drops[-OURO_DROP_MALFORMED], 0);
    net_free(n);
}

void limit_tests(void) {
    RUN(replaced_in_time);
    RUN(no_message_counter_is_left);
    RUN(few_control_counters_are_left);
    RUN(closed_before_the_session);
    RUN(closed_while_replacing);
    RUN(closed_where_nobody_answers);
    RUN(as_long_as_the_peer_takes);
}
