/* A link over a stream (section 6, "In a stream"). */
#include "check.h"
#include "net.h"
#include "ouroboros/stream.h"

#include <string.h>

static net *new_net(uint64_t seed) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    o.stream = true;
    net *n = net_new(&o);
    net_record(n);
    net_connect(n);
    net_run_for(n, 1000);
    CHECK_EQUAL(n->side[DEVICE].established, 1);
    CHECK_EQUAL(n->side[GATEWAY].established, 1);
    return n;
}

static ouro_status give(net *n, int to, const uint8_t *packet, size_t len) {
    uint8_t copy[OURO_MAX_PACKET];
    memcpy(copy, packet, len);
    return net_inject(n, to, &n->side[1 - to].addr, copy, len);
}

static bool broken(const net *n, int who) {
    return ouro_stream_is_broken(&n->side[who].link);
}

static void both_ways_in_order(void) {
    keys_forget();
    net *n = new_net(1);
    for (int i = 0; i < 500; i++) {
        while (net_send(n, DEVICE, true, 4 + (size_t)i % 900) == UINT32_MAX)
            net_run_for(n, 10);
        while (net_send(n, GATEWAY, i % 3 != 0, 4 + (size_t)i % 50) == UINT32_MAX)
            net_run_for(n, 10);
    }
    CHECK(net_settle(n, 100000));
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 500);
    CHECK_EQUAL(net_count(n, GATEWAY, DELIVERED) + net_count(n, GATEWAY, SENT), 500);
    for (uint32_t i = 0; i < 500; i++) {
        CHECK_EQUAL(n->side[DEVICE].messages[i].handed_on, 1);
        CHECK_EQUAL(n->side[GATEWAY].messages[i].handed_on, 1);
        if (i > 0)
            CHECK(n->side[DEVICE].messages[i].came_ms >= n->side[DEVICE].messages[i - 1].came_ms);
    }
    for (int who = 0; who < 2; who++) {
        CHECK_EQUAL(n->side[who].link.stats.retransmitted, 0);
        CHECK_EQUAL(n->side[who].types[OURO_NACK], 0);
        CHECK_EQUAL(n->side[who].stream_ends, 0);
    }
    CHECK_EQUAL(keys_repeated, 0);
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

/* No congestion window and no reach, and acknowledgements are cumulative: one names them all. */
static void many_unacknowledged(void) {
    net *n = new_net(2);
    n->side[GATEWAY].unsafe = true;
    for (int i = 0; i < 150; i++)
        CHECK(net_send(n, DEVICE, true, 20) != UINT32_MAX);
    net_run_for(n, 200);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_DATA], 150);
    CHECK(!ouro_stream_may_read(&n->side[GATEWAY].link));
    n->side[GATEWAY].unsafe = false;
    ouro_link *link = &n->side[GATEWAY].link;
    uint32_t id = net_session(n, GATEWAY)->tail.id;
    for (uint64_t c = 0; c < 85; c++)
        ouro_link_done(link, id, c);
    CHECK(!ouro_stream_may_read(link));
    ouro_link_done(link, id, 85);
    CHECK(ouro_stream_may_read(link));
    for (uint64_t c = 86; c < 150; c++)
        ouro_link_done(link, id, c);
    uint32_t acks = n->side[GATEWAY].types[OURO_ACK];
    net_pump(n, GATEWAY);
    net_run_for(n, 100);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_ACK], acks + 1);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 150);
    net_free(n);
}

/* What is handed on out of order is acknowledged once all below it is. */
static void done_out_of_order(void) {
    net *n = new_net(16);
    n->side[GATEWAY].unsafe = true;
    for (int i = 0; i < 65; i++)
        (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 200);
    ouro_link *link = &n->side[GATEWAY].link;
    uint32_t id = net_session(n, GATEWAY)->tail.id;
    for (uint64_t c = 64; c > 0; c--)
        ouro_link_done(link, id, c);
    net_pump(n, GATEWAY);
    net_run_for(n, 1000);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 0);
    ouro_link_done(link, id, 0);
    net_pump(n, GATEWAY);
    net_run_for(n, 1000);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 65);
    /* Each skipped one holds up what is above it, and no more. */
    for (int i = 0; i < 4; i++)
        (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 200);
    ouro_link_done(link, id, 65);
    ouro_link_done(link, id, 67);
    net_pump(n, GATEWAY);
    net_run_for(n, 1000);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 66);
    ouro_link_done(link, id, 66);
    net_pump(n, GATEWAY);
    net_run_for(n, 1000);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 68);
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

/* The bitmap is sent as over datagrams, and is neither read nor checked. */
static void the_bitmap_says_nothing(void) {
    net *n = new_net(17);
    n->side[GATEWAY].unsafe = true;
    for (int i = 0; i < 3; i++)
        (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 200);
    uint8_t packet[256] = {0};
    uint64_t counter;
    packet[16 + 7] = 1;    /* highest: 1 */
    packet[16 + 8] = 0xff; /* bits far below 0, and none for counter 0 */
    CHECK(ouro_session_protect(net_session(n, GATEWAY), OURO_ACK, OURO_FLAG_ACKS, packet, 16,
                               &counter) == OURO_OK);
    CHECK(give(n, DEVICE, packet, 48) == OURO_OK);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 2);
    /* `highest` is checked: message 3 was not sent yet. */
    memset(packet, 0, sizeof packet);
    packet[16 + 7] = 3;
    CHECK(ouro_session_protect(net_session(n, GATEWAY), OURO_ACK, OURO_FLAG_ACKS, packet, 16,
                               &counter) == OURO_OK);
    CHECK(give(n, DEVICE, packet, 48) == OURO_END_STREAM);
    net_free(n);
}

/* A packet made by the other side, valid, that was not sent yet. */
static size_t make(net *n, int from, uint8_t type, uint8_t flags, size_t len, uint8_t packet[256]) {
    uint64_t counter;
    memset(packet, 0, 256);
    if (type == OURO_NACK)
        packet[16 + 16] = OURO_NACK_GAP;
    CHECK(ouro_session_protect(net_session(n, from), type, flags, packet, len, &counter) ==
          OURO_OK);
    return len + 32;
}

static void a_gap_ends_it(void) {
    static const uint8_t types[] = {OURO_DATA, OURO_PING};
    for (int who = 0; who < 2; who++)
        for (size_t i = 0; i < 2; i++) {
            net *n = new_net(3);
            uint8_t first[256], second[256];
            (void)make(n, 1 - who, types[i], 0, 8, first);
            size_t len = make(n, 1 - who, types[i], 0, 8, second);
            CHECK(give(n, who, second, len) == OURO_END_STREAM);
            CHECK(broken(n, who));
            CHECK(!ouro_stream_ended(&n->side[who].link));
            net_free(n);
        }
}

static void a_repeated_counter_ends_it(void) {
    static const uint8_t types[] = {OURO_DATA, OURO_PING};
    for (size_t i = 0; i < 2; i++) {
        net *n = new_net(4);
        uint8_t packet[256];
        size_t len;
        if (types[i] == OURO_PING) {
            len = make(n, DEVICE, OURO_PING, 0, 8, packet);
            CHECK(give(n, GATEWAY, packet, len) == OURO_OK);
        } else {
            (void)net_send(n, DEVICE, true, 20);
            len = n->last_len[DEVICE];
            memcpy(packet, n->last[DEVICE], len);
            net_run_for(n, 200);
        }
        CHECK(!broken(n, GATEWAY));
        CHECK(give(n, GATEWAY, packet, len) == OURO_END_STREAM);
        CHECK(broken(n, GATEWAY));
        net_free(n);
    }
}

static void every_bit_counts(void) {
    static const struct {
        uint8_t type, flags;
        size_t len;
    } kinds[] = {{OURO_DATA, OURO_FLAG_ACK_REQ, 8}, {OURO_PING, 0, 8}, {OURO_CLOSE, 0, 9}};
    for (size_t k = 0; k < 3; k++)
        for (size_t bit = 0; bit < 40 * 8; bit += 5) {
            net *n = new_net(5);
            uint8_t packet[256];
            size_t len = make(n, DEVICE, kinds[k].type, kinds[k].flags, kinds[k].len, packet);
            packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
            CHECK(give(n, GATEWAY, packet, len) == OURO_END_STREAM);
            CHECK(broken(n, GATEWAY));
            CHECK_EQUAL(n->side[GATEWAY].closed, 0);
            net_free(n);
        }
}

static void nack_is_refused(void) {
    for (int who = 0; who < 2; who++) {
        net *n = new_net(6);
        (void)net_send(n, DEVICE, true, 20);
        (void)net_send(n, GATEWAY, true, 20);
        net_run_for(n, 1000);
        uint8_t packet[256];
        size_t len = make(n, 1 - who, OURO_NACK, OURO_FLAG_ACKS, 17, packet);
        CHECK(give(n, who, packet, len) == OURO_END_STREAM);
        CHECK(broken(n, who));
        net_free(n);
    }
}

/* Authentic and senseless ends a stream, too: "does not verify or parse". */
static void senseless_ends_it(void) {
    net *n = new_net(7);
    uint8_t packet[256] = {0};
    uint64_t counter;
    CHECK(ouro_session_protect(net_session(n, DEVICE), OURO_DATA, OURO_FLAG_ONCE, packet, 12,
                               &counter) == OURO_OK);
    CHECK(give(n, GATEWAY, packet, 44) == OURO_END_STREAM);
    CHECK(broken(n, GATEWAY));
    net_free(n);
}

static void no_timer_sends_again(void) {
    net *n = new_net(8);
    n->path.down = true;
    uint64_t start = n->now_ms;
    uint32_t number = net_send(n, DEVICE, true, 20);
    net_run_until(n, start + 14999);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_DATA], 1);
    uint32_t pings = n->side[DEVICE].types[OURO_PING];
    /* 15 s unacknowledged: one PING; unanswered for 45 s: the path is dead. */
    net_run_until(n, start + 15000);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_PING], pings + 1);
    net_run_until(n, start + 59999);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_PING], pings + 1);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_DATA], 1);
    CHECK(!broken(n, DEVICE));
    CHECK_EQUAL(n->side[DEVICE].dead, 0);
    net_run_until(n, start + 60000);
    CHECK(broken(n, DEVICE));
    CHECK_EQUAL(n->side[DEVICE].dead, 1);
    CHECK(!ouro_stream_ended(&n->side[DEVICE].link));
    net_pump(n, DEVICE);
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, UNKNOWN);
    CHECK(n->side[DEVICE].link.live[0] == NULL);
    net_free(n);
}

/* A PING that is answered: the other side is only slow to make the message safe. */
static void a_slow_application_is_not_dead(void) {
    net *n = new_net(9);
    n->side[GATEWAY].unsafe = true;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 300000);
    CHECK(!broken(n, DEVICE));
    CHECK_EQUAL(n->side[DEVICE].dead, 0);
    ouro_link_done(&n->side[GATEWAY].link, net_session(n, GATEWAY)->tail.id, 0);
    net_pump(n, GATEWAY);
    net_run_for(n, 200);
    CHECK_EQUAL(n->side[DEVICE].messages[0].outcome, DELIVERED);
    net_free(n);
}

static void the_handshake_has_ten_seconds(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 10;
    o.stream = true;
    net *n = net_new(&o);
    n->path.down = true;
    uint64_t start = n->now_ms;
    net_connect(n);
    net_run_until(n, start + 9999);
    CHECK(!broken(n, DEVICE));
    net_run_until(n, start + 10000);
    CHECK(broken(n, DEVICE));
    /* HELLO is not sent again in a stream. */
    CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], 1);
    CHECK_EQUAL(n->trouble, 0);
    CHECK(!ouro_stream_ended(&n->side[DEVICE].link));
    net_free(n);
}

static void idle_is_silent(void) {
    net *n = new_net(11);
    uint64_t packets = n->side[DEVICE].packets + n->side[GATEWAY].packets;
    net_run_for(n, 20 * 3600000);
    CHECK_EQUAL(n->side[DEVICE].packets + n->side[GATEWAY].packets, packets);
    CHECK(!broken(n, DEVICE) && !broken(n, GATEWAY));
    net_free(n);
}

static void closed_well(void) {
    net *n = new_net(12);
    for (int i = 0; i < 20; i++)
        (void)net_send(n, DEVICE, true, 20);
    CHECK(ouro_link_close(&n->side[DEVICE].link, n->now_ms, OURO_REASON_NORMAL, false) == OURO_OK);
    CHECK(net_send(n, DEVICE, true, 20) == UINT32_MAX);
    net_pump(n, DEVICE);
    net_run_for(n, 2000);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 20);
    for (int who = 0; who < 2; who++) {
        CHECK_EQUAL(n->side[who].closed, 1);
        CHECK_EQUAL(n->side[who].missing, 0);
        CHECK_EQUAL(n->side[who].types[OURO_CLOSE], 1);
        CHECK(!broken(n, who));
        CHECK(ouro_stream_ended(&n->side[who].link));
    }
    net_free(n);
}

static void an_end_without_close(void) {
    net *n = new_net(13);
    n->path.down = true;
    uint32_t number = net_send(n, DEVICE, true, 20);
    for (int who = 0; who < 2; who++) {
        CHECK(!ouro_stream_ended(&n->side[who].link));
        net_pump(n, who);
        CHECK(!ouro_link_is_open(&n->side[who].link));
    }
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, UNKNOWN);
    net_free(n);
}

/* A CLOSE whose `sent` is more than what came: an error, though it is authentic. */
static void close_with_messages_missing(void) {
    net *n = new_net(14);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 1000);
    n->drop[DEVICE] = 1u << OURO_DATA;
    (void)net_send(n, DEVICE, false, 20);
    (void)net_send(n, DEVICE, false, 20);
    n->drop[DEVICE] = 0;
    CHECK(ouro_link_close(&n->side[DEVICE].link, n->now_ms, OURO_REASON_NORMAL, true) == OURO_OK);
    net_pump(n, DEVICE);
    net_run_for(n, 60);
    CHECK_EQUAL(n->side[GATEWAY].closed, 1);
    CHECK_EQUAL(n->side[GATEWAY].missing, 2);
    CHECK(!ouro_stream_ended(&n->side[GATEWAY].link));
    net_free(n);
}

static void sizes_of_packets(void) {
    uint8_t bytes[8] = {0x11, 0, 0x04, 0xb0};
    for (size_t len = 0; len < 4; len++)
        CHECK_EQUAL(ouro_stream_packet_size(bytes, len), 0);
    CHECK_EQUAL(ouro_stream_packet_size(bytes, 4), 1232);
    CHECK_EQUAL(ouro_stream_packet_size(bytes, 8), 1232);
    bytes[3]++;
    CHECK_EQUAL(-ouro_stream_packet_size(bytes, 4), -OURO_END_STREAM);
    bytes[2] = bytes[3] = 0;
    CHECK_EQUAL(ouro_stream_packet_size(bytes, 4), 32);
    bytes[0] = 0x21; /* another version: no packet starts so */
    CHECK_EQUAL(-ouro_stream_packet_size(bytes, 1), -OURO_END_STREAM);
}

/* Message counters 0 to 3 are no limit here: a burst goes out with the confirmation. */
static void a_burst_before_it_is_confirmed(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 15;
    o.stream = true;
    net *n = net_new(&o);
    for (int i = 0; i < 30; i++)
        CHECK(net_send(n, DEVICE, true, 20) != UINT32_MAX);
    net_connect(n);
    net_run_for(n, 100);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_DATA], 30);
    CHECK(net_settle(n, 1000));
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 30);
    net_free(n);
}

/* 300 messages are made safe at once: one block names them all. */
static void more_than_a_bitmap_names(void) {
    net *n = new_net(3);
    uint32_t id = net_session(n, GATEWAY)->tail.id;
    n->side[GATEWAY].unsafe = true;
    for (int i = 0; i < 300; i++)
        (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 200);
    for (uint64_t counter = 0; counter < 300; counter++)
        ouro_link_done(&n->side[GATEWAY].link, id, counter);
    uint32_t acks = n->side[GATEWAY].types[OURO_ACK];
    net_pump(n, GATEWAY);
    net_run_for(n, 200);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_ACK], acks + 1);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 300);
    net_free(n);
}

void stream_tests(void) {
    RUN(more_than_a_bitmap_names);
    RUN(done_out_of_order);
    RUN(the_bitmap_says_nothing);
    RUN(both_ways_in_order);
    RUN(many_unacknowledged);
    RUN(a_gap_ends_it);
    RUN(a_repeated_counter_ends_it);
    RUN(every_bit_counts);
    RUN(nack_is_refused);
    RUN(senseless_ends_it);
    RUN(no_timer_sends_again);
    RUN(a_slow_application_is_not_dead);
    RUN(the_handshake_has_ten_seconds);
    RUN(idle_is_silent);
    RUN(closed_well);
    RUN(an_end_without_close);
    RUN(close_with_messages_missing);
    RUN(sizes_of_packets);
    RUN(a_burst_before_it_is_confirmed);
}
