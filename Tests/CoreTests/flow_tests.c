/* Loss, congestion and back-pressure (section 6), each rule by itself on a virtual clock. */
#include "check.h"
#include "net.h"

#include <stdio.h>
#include <string.h>

enum { MINUTE = 60000, HOUR = 3600000 };

static net *simple(uint64_t seed, uint64_t one_way) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    return net_connected(&o, one_way);
}

static bool is_data(const uint8_t *packet) {
    return (packet[0] & 15) == OURO_DATA;
}

static uint64_t all_packets(const net *n) {
    return n->side[DEVICE].packets + n->side[GATEWAY].packets;
}

static uint64_t lost_counter;
static unsigned lost_times;

static bool lose_counter(net *n, int from, const uint8_t *packet, size_t len) {
    (void)n;
    (void)len;
    if (from != DEVICE || !is_data(packet) || net_counter(packet) != lost_counter || !lost_times)
        return false;
    lost_times--;
    return true;
}

static void a_hole_is_reported_once(void) {
    net *n = simple(6, 50);
    n->filter = lose_counter;
    uint32_t nacks = 0;
    for (int hole = 0; hole < 3; hole++) {
        lost_counter = ouro_link_sent_messages(&n->side[DEVICE].link);
        lost_times = 1;
        (void)net_send(n, DEVICE, false, 20); /* never sent again: the hole stays */
        CHECK_EQUAL(lost_times, 0);
        for (int i = 0; i < 12; i++) {
            (void)net_send(n, DEVICE, true, 20);
            net_run_for(n, 20);
            /* Not before three counters past it have arrived. */
            if (i < 2)
                CHECK_EQUAL(n->side[GATEWAY].types[OURO_NACK], nacks);
        }
        net_run_for(n, 5000);
        CHECK_EQUAL(n->side[GATEWAY].types[OURO_NACK], ++nacks);
    }
    /* Two holes that are found together are one NACK. */
    n->filter = NULL;
    n->drop[DEVICE] = 1u << OURO_DATA;
    (void)net_send(n, DEVICE, false, 20);
    (void)net_send(n, DEVICE, false, 20);
    n->drop[DEVICE] = 0;
    for (int i = 0; i < 3; i++)
        (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 5000);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_NACK], nacks + 1);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 39);
    net_free(n);
}

static void lost_is_sent_again_at_once(void) {
    for (unsigned times = 1; times <= 2; times++) {
        net *n = simple(7, 50);
        n->filter = lose_counter;
        lost_counter = ouro_link_sent_messages(&n->side[DEVICE].link);
        lost_times = times;
        uint64_t start = n->now_ms;
        for (int i = 0; i < 4; i++)
            (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 5000);
        /*
         * RTT 100 ms, time-out 300 ms: the ACK of the other three asks for it. Lost once more, only
         * its time-out helps: nothing that was first sent after its last transmission comes.
         */
        CHECK_EQUAL(n->side[DEVICE].link.stats.timeouts, times - 1);
        CHECK_EQUAL(n->side[DEVICE].link.stats.retransmitted, times);
        uint64_t again = 0;
        for (size_t i = 0; again == 0; i++) {
            const net_sent *sent = net_find(n, DEVICE, OURO_DATA, i);
            if (net_counter(sent->bytes) == lost_counter && sent->at_ms > start)
                again = sent->at_ms;
        }
        CHECK_EQUAL(again - start, 100);
        CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 4);
        net_free(n);
    }
}

static bool lose_some(net *n, int from, const uint8_t *packet, size_t len) {
    (void)n;
    (void)len;
    if (from != DEVICE || !is_data(packet))
        return false;
    uint64_t c = net_counter(packet);
    bool lost = (c == lost_counter && lost_times > 0) ||
                ((c == lost_counter + 4 || c == lost_counter + 5) && lost_times > 0);
    lost_times -= c == lost_counter && lost_times > 0;
    return lost;
}

/* Counters first sent before its last transmission say nothing of it, whatever is above them. */
static void only_what_was_sent_later_counts(void) {
    net *n = simple(19, 50);
    for (int i = 0; i < 8; i++) /* for a congestion window of 12 */
        (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 10000);
    net_record(n);
    n->filter = lose_some;
    lost_counter = 8;
    lost_times = 3;
    uint64_t start = n->now_ms;
    for (int i = 0; i < 4; i++)
        (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 101);
    CHECK_EQUAL(n->side[DEVICE].link.stats.retransmitted, 1);
    for (int i = 0; i < 3; i++)
        (void)net_send(n, DEVICE, true, 20);
    CHECK_EQUAL(ouro_link_sent_messages(&n->side[DEVICE].link), 15);
    net_run_for(n, 5000);
    size_t at = 0;
    uint64_t times[8] = {0};
    for (size_t i = 0; net_find(n, DEVICE, OURO_DATA, i) != NULL && at < 8; i++)
        if (net_counter(net_find(n, DEVICE, OURO_DATA, i)->bytes) == lost_counter)
            times[at++] = net_find(n, DEVICE, OURO_DATA, i)->at_ms - start;
    CHECK(at >= 3);
    CHECK_EQUAL(times[1], 100);
    /* The ACK at 201 ms names one counter that was first sent after that, and three before. */
    CHECK(times[2] > 202);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 15);
    net_free(n);
}

/* A sample is taken from the highest of a block alone: the other one's ACK was lost. */
static void only_the_highest_is_a_sample(void) {
    net *n = simple(20, 50);
    uint32_t rtt = ouro_link_rtt(&n->side[DEVICE].link);
    n->drop[GATEWAY] = 1u << OURO_ACK;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 150);
    n->drop[GATEWAY] = 0;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 100);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 2);
    CHECK_EQUAL(n->side[DEVICE].link.stats.retransmitted, 0);
    CHECK_EQUAL(ouro_link_rtt(&n->side[DEVICE].link), rtt);
    net_free(n);
}

/* Same bytes, always: a counter is never sealed twice. */
static void retransmissions_are_the_same_bytes(void) {
    keys_forget();
    net *n = simple(8, 50);
    n->path.loss = 0.4;
    for (int i = 0; i < 100; i++)
        (void)net_send(n, DEVICE, true, 20);
    CHECK(net_settle(n, HOUR));
    const net_sent *a, *b;
    unsigned repeated = 0;
    for (size_t i = 0; (a = net_find(n, DEVICE, OURO_DATA, i)) != NULL; i++)
        for (size_t k = i + 1; (b = net_find(n, DEVICE, OURO_DATA, k)) != NULL; k++)
            if (memcmp(a->bytes + 4, b->bytes + 4, 12) == 0) {
                CHECK(a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0);
                repeated++;
            }
    CHECK(repeated > 10);
    CHECK_EQUAL(keys_repeated, 0);
    net_free(n);
}

/* An unreliable message that is acknowledged an hour later leaves the time-out as it was. */
static void late_acknowledgements_are_no_samples(void) {
    net *n = simple(12, 50);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 1000);
    uint32_t rtt = ouro_link_rtt(&n->side[DEVICE].link);
    CHECK(rtt >= 95 && rtt <= 105);
    /* The PING that follows is not answered either, and no handshake replaces the session. */
    n->drop[GATEWAY] = 1u << OURO_ACK | 1u << OURO_PONG;
    n->drop[DEVICE] = 1u << OURO_HELLO;
    for (int i = 0; i < 3; i++)
        (void)net_send(n, DEVICE, false, 20);
    CHECK(n->side[GATEWAY].types[OURO_ACK] >= 1);
    CHECK(n->last[DEVICE][1] & OURO_FLAG_ACK_REQ);
    net_run_for(n, HOUR);
    CHECK_EQUAL(n->side[DEVICE].link.live[0]->acked_next, 1);
    n->drop[GATEWAY] = 0;
    /* Its PONG brings the block: the highest is newly acknowledged, an hour old. */
    CHECK(ouro_link_ping(&n->side[DEVICE].link) == OURO_OK);
    net_pump(n, DEVICE);
    net_run_for(n, 1000);
    CHECK(n->side[DEVICE].link.live[0]->acked_next >= 4);
    CHECK(ouro_link_rtt(&n->side[DEVICE].link) >= 95);
    CHECK(ouro_link_rtt(&n->side[DEVICE].link) <= 105);
    /* Nor is one that was sent again (Karn). */
    n->drop[GATEWAY] = 1u << OURO_ACK | 1u << OURO_PONG;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 1500);
    n->drop[GATEWAY] = 1u << OURO_PONG;
    net_run_for(n, 5000);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 2);
    CHECK(ouro_link_rtt(&n->side[DEVICE].link) <= 105);
    net_free(n);
}

/* From its second silent time-out in a row only the lowest message in flight is sent again. */
static void a_silent_path_is_spared(void) {
    net *n = simple(17, 50);
    n->path.down = true;
    for (int i = 0; i < 4; i++)
        (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 44000);
    unsigned sent[4] = {0};
    for (size_t i = 0; net_find(n, DEVICE, OURO_DATA, i) != NULL; i++)
        sent[net_counter(net_find(n, DEVICE, OURO_DATA, i)->bytes) % 4]++;
    CHECK(sent[0] >= 6 && sent[0] <= 12);
    for (int i = 1; i < 4; i++)
        CHECK_EQUAL(sent[i], 2);
    n->path.down = false;
    CHECK(net_settle(n, MINUTE));
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 4);
    net_free(n);
}

/* What is not sent waits for the window, which starts at 4 and grows by what is acknowledged. */
static void the_congestion_window(void) {
    net *n = simple(18, 50);
    for (int i = 0; i < 60; i++)
        (void)net_send(n, DEVICE, true, 20);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_DATA], 4);
    net_run_for(n, 101);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_DATA], 4 + 8);
    net_run_for(n, 100);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_DATA], 4 + 8 + 16);
    net_free(n);
}

/* Past its threshold the window grows by one for as many messages as it holds. */
static void a_window_past_its_threshold(void) {
    net *n = simple(20, 50);
    ouro_link *link = &n->side[DEVICE].link;
    link->window = link->threshold = 10;
    for (unsigned i = 1; i <= 21; i++) {
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 200);
        CHECK_EQUAL(link->window, i < 10 ? 10 : i < 21 ? 11 : 12);
    }
    net_free(n);
}

static void busy_costs_little(void) {
    net *n = simple(13, 5);
    n->side[GATEWAY].queue_cap = 8;
    ouro_link_set_room(&n->side[GATEWAY].link, 8, 8);
    uint64_t packets = all_packets(n);
    for (int i = 0; i < 200; i++)
        CHECK(net_send(n, DEVICE, true, 20) != UINT32_MAX);
    for (int i = 0; i < 6000 && net_count(n, DEVICE, PENDING) > 0; i++) {
        net_run_for(n, 100);
        net_take(n, GATEWAY);
    }
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 200);
    CHECK(n->side[GATEWAY].types[OURO_NACK] > 0);
    double cost = (double)(all_packets(n) - packets) / 200;
    printf("BUSY: %.2f packets a message\n", cost);
    CHECK(cost < 5);
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

/*
 * How long it takes until 300 times so many messages are delivered, all before the next; the
 * application takes one each millisecond.
 */
static uint64_t time_of_bursts(int queue, uint32_t burst) {
    enum { BURSTS = 300 };
    net *n = simple(21, 1);
    n->side[GATEWAY].queue_cap = queue;
    n->side[GATEWAY].late = true;
    ouro_link_set_room(&n->side[GATEWAY].link, (size_t)queue, (size_t)queue);
    uint64_t start = n->now_ms;
    for (uint32_t sent = burst; sent <= BURSTS * burst; sent += burst) {
        while (n->side[DEVICE].count < sent)
            CHECK(net_send(n, DEVICE, true, 20) != UINT32_MAX);
        while (net_count(n, DEVICE, DELIVERED) < sent && n->now_ms < start + HOUR) {
            net_run_for(n, 1);
            net_take(n, GATEWAY);
        }
    }
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), BURSTS * burst);
    CHECK_EQUAL(n->trouble, 0);
    uint64_t taken = n->now_ms - start;
    net_free(n);
    return taken;
}

/* However small the queue is, what found it full comes again once there is room, and no later. */
static void a_small_queue_is_not_slow(void) {
    for (uint32_t burst = 5; burst <= 20; burst += 5) {
        uint64_t large = time_of_bursts(64, burst), small = time_of_bursts(4, burst);
        printf("BUSY: 300 times %u messages in %.1f s, %.1f s with a queue of 4\n", burst,
               (double)large / 1000, (double)small / 1000);
        CHECK(small <= 2 * large);
    }
}

/* BUSY of what was dropped goes out though there is room again, and the ACK behind it. */
static void busy_is_said_of_what_was_dropped(void) {
    net *n = simple(22, 50);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 500);
    uint32_t nacks = n->side[GATEWAY].types[OURO_NACK], acks = n->side[GATEWAY].types[OURO_ACK];
    ouro_link *gateway = &n->side[GATEWAY].link;
    ouro_link_set_room(gateway, 0, 4);
    uint8_t packet[OURO_MAX_PACKET], body[4] = {0};
    size_t len = net_make(n, DEVICE, OURO_DATA, OURO_FLAG_ACK_REQ, body, sizeof body, packet);
    CHECK(ouro_link_receive(gateway, n->now_ms, &n->side[DEVICE].addr, packet, len) ==
          OURO_DROP_BUSY);
    ouro_link_set_room(gateway, 4, 4);
    net_pump(n, GATEWAY);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_NACK], nacks + 1);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_ACK], acks + 1);
    CHECK_EQUAL(n->last[GATEWAY][0] & 15, OURO_ACK);
    net_free(n);
}

/* Once an ACK has ended the device's wait, the next packet that is dropped is told at once. */
static void busy_is_said_again_after_an_ack(void) {
    for (size_t room = 1; room <= 2; room++) { /* less than half, and half */
        net *n = simple(23, 50);
        net_side *gateway = &n->side[GATEWAY];
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 500);
        gateway->late = true;
        gateway->queue_cap = 1;
        for (uint32_t told = 1; told <= 3; told++) {
            /* The first fills the queue. */
            uint8_t body[4] = {0};
            for (unsigned i = 0; i < 3; i++)
                (void)net_give(n, DEVICE, OURO_DATA, OURO_FLAG_ACK_REQ, body, sizeof body);
            CHECK_EQUAL(gateway->queued, 1);
            CHECK_EQUAL(gateway->types[OURO_NACK], told);
            gateway->queued = 0;
            ouro_link_done(&gateway->link, gateway->queue_sessions[0], gateway->queue_counters[0]);
            ouro_link_set_room(&gateway->link, room, 4);
            net_pump(n, GATEWAY);
        }
        net_free(n);
    }
}

/* One place is kept for the first message, so that BUSY can be said of the others. */
static void full_before_the_first_message(void) {
    net *n = simple(14, 50);
    ouro_link_set_room(&n->side[GATEWAY].link, 0, 8);
    for (int i = 0; i < 6; i++)
        (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 400);
    CHECK_EQUAL(n->side[DEVICE].messages[0].handed_on, 1);
    CHECK(n->side[DEVICE].messages[0].outcome == DELIVERED);
    net_run_for(n, 30000);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 1);
    CHECK_EQUAL(n->side[DEVICE].established, 1);
    CHECK(n->side[GATEWAY].types[OURO_NACK] >= 1);
    /* The wait grows to 8 s at most. */
    CHECK(n->side[GATEWAY].types[OURO_NACK] <= 20);
    /* The ACK that says there is room ends the wait, however long it would be. */
    const ouro_link *link = &n->side[DEVICE].link;
    for (int i = 0; i < 1000 && link->wait_until_ms < n->now_ms + 4000; i++)
        net_run_for(n, 10);
    CHECK(link->wait_until_ms >= n->now_ms + 4000);
    ouro_link_set_room(&n->side[GATEWAY].link, 8, 8);
    net_pump(n, GATEWAY);
    net_run_for(n, 1500);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 6);
    net_free(n);
}

/* From 20 ms to 3 s: nothing is unknown, and after a while nothing is sent twice. */
static void a_round_trip_that_grows(void) {
    net *n = simple(15, 10);
    for (int i = 0; i < 20; i++) {
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 1000);
    }
    n->path.delay_ms = 1500;
    for (int i = 0; i < 60; i++) {
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 5000);
    }
    uint32_t again = n->side[DEVICE].link.stats.retransmitted;
    for (int i = 0; i < 20; i++) {
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 5000);
    }
    CHECK(net_settle(n, MINUTE));
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 100);
    CHECK(n->side[DEVICE].link.stats.retransmitted - again <= 2);
    CHECK(ouro_link_rtt(&n->side[DEVICE].link) > 2500);
    CHECK(n->side[DEVICE].established <= 2);
    net_free(n);
}

void flow_tests(void) {
    RUN(a_hole_is_reported_once);
    RUN(lost_is_sent_again_at_once);
    RUN(only_what_was_sent_later_counts);
    RUN(only_the_highest_is_a_sample);
    RUN(retransmissions_are_the_same_bytes);
    RUN(late_acknowledgements_are_no_samples);
    RUN(a_silent_path_is_spared);
    RUN(the_congestion_window);
    RUN(a_window_past_its_threshold);
    RUN(busy_costs_little);
    RUN(a_small_queue_is_not_slow);
    RUN(busy_is_said_of_what_was_dropped);
    RUN(busy_is_said_again_after_an_ack);
    RUN(full_before_the_first_message);
    RUN(a_round_trip_that_grows);
}
