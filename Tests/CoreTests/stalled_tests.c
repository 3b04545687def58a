/* Messages that the path does not carry (a tunnel with a smaller MTU), though it carries others. */
#include "check.h"
#include "net.h"
#include "ouroboros/sleep.h"

#include <string.h>

enum { SECOND = 1000, MINUTE = 60000, HOUR = 3600000, LARGEST = 600 };

static net *narrow(uint64_t seed, uint8_t reach) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    o.reach[DEVICE] = o.reach[GATEWAY] = reach;
    net *n = net_connected(&o, 20);
    n->path.largest = LARGEST;
    return n;
}

/* So many of 1,000 bytes, then 100 of 20: none of these waits longer than 3 minutes. */
static void large_ones_in_front(uint8_t reach, int from, unsigned large) {
    net *n = narrow(reach, reach);
    uint64_t start = n->now_ms;
    for (unsigned i = 0; i < large; i++)
        CHECK(net_send(n, from, true, 1000) == i);
    for (int i = 0; i < 100; i++)
        CHECK(net_send(n, from, true, 20) != UINT32_MAX);
    net_run_for(n, 3 * MINUTE);
    CHECK_EQUAL(net_count(n, from, DELIVERED), 100);
    for (unsigned i = 0; i < large; i++) {
        const net_message *m = &n->side[from].messages[i];
        CHECK(m->stalled);
        CHECK_EQUAL(m->stalled_len, 1000);
        CHECK_EQUAL(m->outcome, STALLED);
        CHECK_EQUAL(m->handed_on, 0);
    }
    CHECK_EQUAL(n->side[from].link.stats.stalled, large);
    uint64_t last = 0;
    for (uint32_t i = large; i < large + 100; i++)
        if (n->side[from].messages[i].ended_ms > last)
            last = n->side[from].messages[i].ended_ms;
    CHECK(last - start < (large == 1 ? 70 : 180) * SECOND);
    CHECK_EQUAL(n->side[DEVICE].established, 1);
    CHECK_EQUAL(n->side[from].dead, 0);
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

/* On a slow path 45 s are few tries: it takes ten that were each followed by something heard. */
static void ten_tries_on_a_slow_path(void) {
    net_options o = {.seed = 30};
    net *n = net_connected(&o, 3000);
    n->path.largest = LARGEST;
    uint64_t first = net_session(n, DEVICE)->tail.tx_next;
    uint32_t number = net_send(n, DEVICE, true, 1000);
    for (int i = 0; i < 30 && !n->side[DEVICE].messages[number].stalled; i++) {
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 6 * SECOND);
    }
    CHECK(n->side[DEVICE].messages[number].stalled);
    unsigned tries = 0;
    for (size_t i = 0; net_find(n, DEVICE, OURO_DATA, i) != NULL; i++)
        tries += net_counter(net_find(n, DEVICE, OURO_DATA, i)->bytes) == first;
    CHECK_EQUAL(tries, 11); /* the tenth is known to be lost when it goes once more */
    net_free(n);
}

static void one_large_message(void) {
    static const uint8_t reaches[] = {4, 8, 16, 64};
    for (size_t i = 0; i < sizeof reaches; i++)
        for (int from = 0; from < 2; from++)
            large_ones_in_front(reaches[i], from, 1);
}

static void four_large_messages(void) {
    static const uint8_t reaches[] = {8, 16, 64};
    for (size_t i = 0; i < sizeof reaches; i++)
        for (int from = 0; from < 2; from++)
            large_ones_in_front(reaches[i], from, 4);
}

/* Then as many unreliable ones as the reach are lost: later ones arrive. */
static void unreliable_ones_behind_it(void) {
    static const uint8_t reaches[] = {4, 8, 16, 64};
    for (size_t i = 0; i < sizeof reaches; i++) {
        net *n = narrow(reaches[i], reaches[i]);
        (void)net_send(n, DEVICE, true, 1000);
        n->drop[DEVICE] = 1u << OURO_DATA;
        for (unsigned k = 0; k < reaches[i]; k++) {
            (void)net_send(n, DEVICE, false, 20);
            net_run_for(n, 500);
        }
        n->drop[DEVICE] = 0;
        net_run_for(n, 3 * MINUTE);
        uint32_t first = n->side[DEVICE].count;
        for (unsigned k = 0; k < 2u * reaches[i]; k++) {
            (void)net_send(n, DEVICE, false, 20);
            net_run_for(n, 500);
        }
        for (uint32_t k = first; k < n->side[DEVICE].count; k++)
            CHECK_EQUAL(n->side[DEVICE].messages[k].handed_on, 1);
        CHECK_EQUAL(n->side[DEVICE].established, 1);
        CHECK_EQUAL(n->trouble, 0);
        net_free(n);
    }
}

/* A net with one message stalled in flight. */
static net *stalled(int from, bool small) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 5;
    o.small = small;
    net *n = net_connected(&o, 20);
    n->path.largest = LARGEST;
    CHECK(net_send(n, from, true, 1000) == 0);
    for (int i = 0; i < 5; i++)
        (void)net_send(n, from, true, 20);
    net_run_for(n, 2 * MINUTE);
    CHECK(n->side[from].messages[0].stalled);
    CHECK_EQUAL(n->side[from].messages[0].outcome, PENDING);
    CHECK_EQUAL(net_count(n, from, DELIVERED), 5);
    CHECK_EQUAL(ouro_link_pending(&n->side[from].link), 0);
    return n;
}

static void nothing_waits_for_it(void) {
    for (int from = 0; from < 2; from++)
        for (int closer = 0; closer < 2; closer++) {
            net *n = stalled(from, false);
            ouro_link *link = &n->side[closer].link;
            CHECK(ouro_link_close(link, n->now_ms, OURO_REASON_NORMAL, false) == OURO_OK);
            net_pump(n, closer);
            net_run_for(n, SECOND);
            CHECK_EQUAL(n->side[0].closed, 1);
            CHECK_EQUAL(n->side[1].closed, 1);
            CHECK_EQUAL(n->side[from].messages[0].outcome, STALLED);
            /* It is one of those that the other side misses, which is true. */
            CHECK_EQUAL(n->side[1 - from].missing, 1);
            net_free(n);
        }
}

static void rekeyed_within_a_second(void) {
    for (int small = 0; small < 2; small++)
        for (int from = 0; from < 2; from++)
            for (int who = 0; who < 2; who++) {
                net *n = stalled(from, small == 1);
                CHECK(ouro_link_rekey(&n->side[who].link, n->now_ms) == OURO_OK);
                net_pump(n, who);
                uint32_t number = net_send(n, from, true, 20);
                net_run_for(n, SECOND);
                CHECK_EQUAL(n->side[DEVICE].established, 2);
                CHECK_EQUAL(n->side[from].messages[number].outcome, DELIVERED);
                CHECK_EQUAL(n->side[from].messages[0].outcome, STALLED);
                CHECK(n->side[DEVICE].link.live[1] == NULL);
                CHECK_EQUAL(n->trouble, 0);
                net_free(n);
            }
}

static void saved_with_one_stalled(void) {
    static uint8_t saved[OURO_SAVED_SIZE(16)];
    size_t len;
    net *n = stalled(DEVICE, false);
    ouro_link *link = &n->side[DEVICE].link;
    CHECK(ouro_link_is_quiet(link));
    CHECK(ouro_link_save(link, n->now_ms, saved, sizeof saved, &len) == OURO_OK);
    net_pump(n, DEVICE);
    CHECK_EQUAL(n->side[DEVICE].messages[0].outcome, STALLED);
    CHECK_EQUAL(n->side[DEVICE].pool.used, 0);
    net_restart(n, DEVICE);
    CHECK(ouro_link_restore(link, n->now_ms, 1, saved, len) == OURO_OK);
    (void)net_send(n, DEVICE, true, 20);
    CHECK(net_settle(n, SECOND));
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 6);
    net_free(n);
}

/* It is sent again ever more seldom: at most 30 packets an hour. */
static void few_packets(void) {
    for (int from = 0; from < 2; from++) {
        net *n = stalled(from, false);
        uint64_t packets = n->side[DEVICE].packets + n->side[GATEWAY].packets;
        net_run_for(n, HOUR);
        packets = n->side[DEVICE].packets + n->side[GATEWAY].packets - packets;
        /* A server waits until it has heard from the device. */
        CHECK(from == DEVICE ? packets >= 10 && packets <= 30 : packets <= 1);
        net_free(n);
    }
}

static void a_server_waits_for_the_device(void) {
    net *n = stalled(GATEWAY, false);
    net_run_for(n, HOUR);
    n->path.largest = 0;
    uint64_t packets = n->side[GATEWAY].packets;
    net_run_for(n, HOUR);
    CHECK_EQUAL(n->side[GATEWAY].packets, packets);
    CHECK(ouro_link_ping(&n->side[DEVICE].link) == OURO_OK);
    net_pump(n, DEVICE);
    net_run_for(n, SECOND);
    CHECK_EQUAL(n->side[GATEWAY].messages[0].outcome, DELIVERED);
    net_free(n);
}

/* The path carries it after all: it is delivered, and told once. */
static void delivered_after_all(void) {
    net *n = stalled(DEVICE, false);
    n->path.largest = 0;
    net_run_for(n, 10 * MINUTE);
    CHECK_EQUAL(n->side[DEVICE].messages[0].outcome, DELIVERED);
    CHECK_EQUAL(n->side[DEVICE].messages[0].handed_on, 1);
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

/* It ends when a counter R above it is acknowledged, not before. */
static void ends_at_the_reach(void) {
    net *n = stalled(DEVICE, false);
    for (int i = 6; i < 16; i++) {
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 200);
        CHECK_EQUAL(n->side[DEVICE].messages[0].outcome, PENDING);
    }
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 200);
    CHECK_EQUAL(n->side[DEVICE].messages[0].outcome, STALLED);
    net_free(n);
}

/* An application that holds everything back looks the same, and loses nothing. */
static void held_back_for_ten_minutes(void) {
    for (uint64_t seed = 1; seed <= 80; seed++) {
        net_options o;
        memset(&o, 0, sizeof o);
        o.seed = seed;
        o.reach[DEVICE] = o.reach[GATEWAY] = seed % 2 == 0 ? 8 : 64;
        net *n = net_connected(&o, 20);
        n->path.jitter_ms = seed % 4 < 2 ? 0 : 200;
        n->side[GATEWAY].unsafe = true;
        for (int i = 0; i < 100; i++)
            (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 10 * MINUTE);
        uint64_t next = net_session(n, GATEWAY)->window.next;
        uint32_t id = net_session(n, GATEWAY)->tail.id;
        n->side[GATEWAY].unsafe = false;
        for (uint64_t c = 0; c < next; c++)
            ouro_link_done(&n->side[GATEWAY].link, id, c);
        net_pump(n, GATEWAY);
        CHECK(net_settle(n, 10 * MINUTE));
        CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 100);
        unsigned told = 0;
        for (uint32_t i = 0; i < 100; i++)
            told += n->side[DEVICE].messages[i].stalled;
        CHECK(told <= 1);
        CHECK_EQUAL(n->side[DEVICE].established, 1);
        net_free(n);
    }
}

/* A stuck message and one PING lost do not stop a server's timers. */
static void a_stuck_message_is_no_dead_path(void) {
    net *n = narrow(7, 16);
    (void)net_send(n, GATEWAY, true, 1000);
    net_run_for(n, 3 * MINUTE);
    CHECK_EQUAL(n->side[GATEWAY].dead, 0);
    uint32_t pings = n->side[GATEWAY].types[OURO_PING];
    n->drop[GATEWAY] = 1u << OURO_PING;
    for (int i = 0; i < 10000 && n->side[GATEWAY].types[OURO_PING] == pings; i++)
        net_run_for(n, 10);
    n->drop[GATEWAY] = 0;
    net_run_for(n, MINUTE);
    CHECK_EQUAL(n->side[GATEWAY].dead, 0);
    CHECK(n->side[GATEWAY].types[OURO_PING] > pings + 2);
    net_free(n);
}

static uint32_t give_once(net *n, uint32_t seq, size_t len) {
    static uint8_t data[1000];
    ouro_message m = {.data = data, .len = len, .reliable = true, .box = 9, .seq = seq};
    return net_send_message(n, DEVICE, &m);
}

static void ignore(net *n, int who, const ouro_event *e) {
    (void)n;
    (void)who;
    (void)e;
}

/* A stalled seq holds up no higher one: it ends when one 64 above it is to go out. */
static void a_stalled_seq(void) {
    net *n = narrow(8, 64);
    n->message = ignore;
    (void)give_once(n, 0, 1000);
    (void)give_once(n, 1, 20);
    net_run_for(n, 2 * MINUTE);
    CHECK(n->side[DEVICE].messages[0].stalled);
    CHECK_EQUAL(n->side[DEVICE].messages[0].stalled_len, 1000);
    CHECK(give_once(n, 63, 20) != UINT32_MAX);
    net_run_for(n, SECOND);
    CHECK_EQUAL(n->side[DEVICE].messages[0].outcome, PENDING);
    CHECK(give_once(n, 64, 20) != UINT32_MAX);
    net_run_for(n, SECOND);
    CHECK_EQUAL(n->side[DEVICE].messages[0].outcome, STALLED);
    /* It is never given again, so it does not count as unknown. */
    CHECK(give_once(n, 5000, 20) != UINT32_MAX);
    CHECK(net_settle(n, SECOND));
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 4);
    net_free(n);
}

/* Without a free place one that is stalled gives up its own. */
static void places_are_given_up(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 9;
    o.places = 4;
    net *n = net_connected(&o, 20);
    n->path.largest = LARGEST;
    for (int i = 0; i < 3; i++)
        (void)net_send(n, DEVICE, true, 1000);
    for (int i = 0; i < 600; i++) {
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, SECOND);
    }
    CHECK_EQUAL(net_count(n, DEVICE, STALLED), 3);
    CHECK(net_count(n, DEVICE, DELIVERED) > 400);
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

/* BUSY starts the count anew: a receiver whose queue is full is no narrow path. */
static void busy_begins_anew(void) {
    net *n = narrow(10, 16);
    n->path.largest = 0;
    n->side[GATEWAY].queue_cap = 2;
    ouro_link_set_room(&n->side[GATEWAY].link, 2, 2);
    for (int i = 0; i < 12; i++)
        (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 10 * MINUTE);
    for (int i = 0; i < 200; i++) {
        net_take(n, GATEWAY);
        net_run_for(n, 10 * SECOND);
    }
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 12);
    CHECK_EQUAL(n->side[DEVICE].link.stats.stalled, 0);
    net_free(n);
}

/* The window is 1 after a silent time-out, and 2 again once anything is authenticated. */
static void the_window_after_silence(void) {
    net *n = narrow(11, 16);
    for (int i = 0; i < 20; i++)
        (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, SECOND);
    n->path.down = true;
    for (int i = 0; i < 4; i++)
        (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, SECOND);
    CHECK_EQUAL(n->side[DEVICE].link.window, 1);
    uint8_t ping[OURO_MAX_PACKET];
    size_t len = net_make(n, GATEWAY, OURO_PING, 0, NULL, 0, ping);
    CHECK(net_inject(n, DEVICE, NULL, ping, len) == OURO_OK);
    CHECK_EQUAL(n->side[DEVICE].link.window, 2);
    net_free(n);
}

void stalled_tests(void) {
    RUN(ten_tries_on_a_slow_path);
    RUN(one_large_message);
    RUN(four_large_messages);
    RUN(unreliable_ones_behind_it);
    RUN(nothing_waits_for_it);
    RUN(rekeyed_within_a_second);
    RUN(saved_with_one_stalled);
    RUN(few_packets);
    RUN(a_server_waits_for_the_device);
    RUN(delivered_after_all);
    RUN(ends_at_the_reach);
    RUN(held_back_for_ten_minutes);
    RUN(a_stuck_message_is_no_dead_path);
    RUN(a_stalled_seq);
    RUN(places_are_given_up);
    RUN(busy_begins_anew);
    RUN(the_window_after_silence);
}
