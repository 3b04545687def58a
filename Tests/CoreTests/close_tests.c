/* How sessions end: CLOSE, rekeying, limits, idle time-outs. */
#include "check.h"
#include "net.h"

#include <string.h>

enum { MINUTE = 60000, HOUR = 3600000, DAY = 86400000 };

static net *connected_with(net_options *o, uint64_t seed) {
    o->seed = seed;
    net *n = net_new(o);
    net_connect(n);
    net_run_for(n, 10000);
    CHECK_EQUAL(n->side[GATEWAY].established, 1);
    net_record(n);
    return n;
}

static net *connected(uint64_t seed) {
    net_options o;
    memset(&o, 0, sizeof o);
    return connected_with(&o, seed);
}

static void close_link(net *n, int who, ouro_reason reason, bool at_once) {
    CHECK(ouro_link_close(&n->side[who].link, n->now_ms, reason, at_once) == OURO_OK);
    net_pump(n, who);
}

static void close_when_all_is_said(void) {
    for (int who = 0; who < 2; who++) {
        net *n = connected(1);
        for (int i = 0; i < 30; i++)
            CHECK(net_send(n, who, true, 20) != UINT32_MAX);
        close_link(n, who, OURO_REASON_NORMAL, false);
        CHECK(net_send(n, who, true, 20) == UINT32_MAX);
        net_run_for(n, 5000);
        CHECK_EQUAL(net_count(n, who, DELIVERED), 30);
        for (int i = 0; i < 2; i++) {
            /* One CLOSE each, the second is the answer. */
            CHECK_EQUAL(n->side[i].types[OURO_CLOSE], 1);
            CHECK_EQUAL(n->side[i].closed, 1);
            CHECK_EQUAL(n->side[i].closed_reason, OURO_REASON_NORMAL);
            CHECK_EQUAL(n->side[i].missing, 0);
            CHECK(n->side[i].link.live[0] == NULL);
        }
        CHECK(ouro_link_is_closed(&n->side[who].link));
        CHECK(!ouro_link_is_closed(&n->side[1 - who].link));
        net_free(n);
    }
}

static void both_close_at_once(void) {
    net *n = connected(2);
    close_link(n, DEVICE, OURO_REASON_NORMAL, false);
    close_link(n, GATEWAY, OURO_REASON_SHUTDOWN, false);
    net_run_for(n, MINUTE);
    /* One that comes after one's own was sent is not answered. */
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(n->side[i].types[OURO_CLOSE], 1);
        CHECK_EQUAL(n->side[i].closed, 1);
    }
    net_free(n);
}

static void what_is_missing_is_told(void) {
    net *n = connected(3);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 1000);
    n->drop[DEVICE] = 1u << OURO_DATA;
    (void)net_send(n, DEVICE, false, 20);
    (void)net_send(n, DEVICE, false, 20);
    net_run_for(n, 5000);
    n->drop[DEVICE] = 0;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 5000);
    close_link(n, DEVICE, OURO_REASON_NORMAL, false);
    net_run_for(n, 1000);
    CHECK_EQUAL(n->side[GATEWAY].closed, 1);
    CHECK_EQUAL(n->side[GATEWAY].missing, 2);
    CHECK_EQUAL(n->side[DEVICE].missing, 0);
    net_free(n);
}

static void an_unknown_reason_counts_as_0(void) {
    net *n = connected(4);
    uint8_t packet[64] = {0};
    uint64_t counter;
    packet[16] = 77;
    CHECK(ouro_session_protect(net_session(n, DEVICE), OURO_CLOSE, 0, packet, 9, &counter) ==
          OURO_OK);
    CHECK(net_inject(n, GATEWAY, &n->side[DEVICE].addr, packet, 41) == OURO_OK);
    CHECK_EQUAL(n->side[GATEWAY].closed, 1);
    CHECK_EQUAL(n->side[GATEWAY].closed_reason, OURO_REASON_NORMAL);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_CLOSE], 1);
    net_free(n);
}

static void at_once(void) {
    net *n = connected(5);
    for (int i = 0; i < 30; i++)
        (void)net_send(n, DEVICE, true, 20);
    uint64_t sent = ouro_link_sent_messages(&n->side[DEVICE].link);
    CHECK(sent < 30);
    close_link(n, DEVICE, OURO_REASON_NORMAL, true);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_CLOSE], 1);
    /* What was queued failed; what is in flight may still be acknowledged, by the answer. */
    CHECK_EQUAL(net_count(n, DEVICE, FAILED), 30 - sent);
    net_run_for(n, MINUTE);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), sent);
    net_free(n);
    n = connected(6);
    n->path.down = true;
    for (int i = 0; i < 30; i++)
        (void)net_send(n, DEVICE, true, 20);
    close_link(n, DEVICE, OURO_REASON_NORMAL, true);
    net_run_for(n, MINUTE);
    CHECK_EQUAL(net_count(n, DEVICE, FAILED), 30 - sent);
    CHECK_EQUAL(net_count(n, DEVICE, UNKNOWN), sent);
    CHECK(ouro_link_is_closed(&n->side[DEVICE].link));
    net_free(n);
}

/* A closer whose peer sleeps ends within 45 s and three time-outs, also if it slept for long. */
static void to_a_sleeping_peer(void) {
    static const uint64_t asleep[] = {0, 30000, 10 * MINUTE, 5 * HOUR};
    for (int who = 0; who < 2; who++)
        for (int messages = 0; messages < 2; messages++)
            for (size_t i = 0; i < sizeof asleep / sizeof asleep[0]; i++) {
                net *n = connected(7);
                n->path.down = true;
                if (messages == 1)
                    for (int k = 0; k < 20; k++)
                        (void)net_send(n, who, true, 20);
                net_run_for(n, asleep[i]);
                net_record(n);
                uint64_t start = n->now_ms;
                uint32_t hellos = n->side[DEVICE].types[OURO_HELLO];
                close_link(n, who, OURO_REASON_NORMAL, false);
                net_run_until(n, start + 45000 + 3 * 8000);
                CHECK(ouro_link_is_closed(&n->side[who].link));
                CHECK_EQUAL(n->side[who].closed, 1);
                CHECK_EQUAL(net_count(n, who, PENDING), 0);
                CHECK_EQUAL(n->side[who].types[OURO_CLOSE], 3);
                /* Nothing in flight: CLOSE goes out at once, else at 45 s. */
                uint64_t first = net_find(n, who, OURO_CLOSE, 0)->at_ms - start;
                CHECK_EQUAL(first, messages == 0 ? 0 : 45000);
                if (messages == 1)
                    CHECK(net_count(n, who, FAILED) > 0 && net_count(n, who, UNKNOWN) > 0);
                /* A closing session begins no handshake. */
                if (asleep[i] == 0)
                    CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], hellos);
                uint64_t packets = n->side[who].packets;
                net_run_for(n, HOUR);
                CHECK_EQUAL(n->side[who].packets, packets);
                net_free(n);
            }
}

static void data_after_ones_own_close(void) {
    net *n = connected(8);
    close_link(n, GATEWAY, OURO_REASON_NORMAL, false);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 5000);
    CHECK_EQUAL(n->side[DEVICE].messages[0].handed_on, 0);
    CHECK_EQUAL(n->side[DEVICE].messages[0].outcome, UNKNOWN);
    CHECK_EQUAL(n->side[GATEWAY].link.stats.drops[-OURO_DROP_CLOSED], 1);
    net_free(n);
}

/* As the first packet of a pending session CLOSE confirms, and then acts. */
static void close_as_the_first_packet(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 9;
    net *n = net_new(&o);
    n->drop[DEVICE] = 1u << OURO_PING;
    net_connect(n);
    net_run_for(n, 120);
    close_link(n, DEVICE, OURO_REASON_NORMAL, true);
    net_run_for(n, 1000);
    CHECK_EQUAL(n->side[GATEWAY].established, 1);
    CHECK_EQUAL(n->side[GATEWAY].closed, 1);
    CHECK_EQUAL(n->server.pending_used, 0);
    CHECK(ouro_link_is_closed(&n->side[DEVICE].link));
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

/* After 0, 1 and 4 a handshake comes when something is to be sent; after 3 it is given time. */
static void after_the_peers_close(void) {
    static const ouro_reason reasons[] = {OURO_REASON_NORMAL, OURO_REASON_SHUTDOWN};
    for (size_t i = 0; i < 2; i++) {
        net *n = connected(10);
        close_link(n, GATEWAY, reasons[i], false);
        net_run_for(n, HOUR);
        CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], 1);
        CHECK_EQUAL(n->side[DEVICE].closed_reason, reasons[i]);
        net_restart(n, GATEWAY);
        uint64_t start = n->now_ms;
        uint32_t number = net_send(n, DEVICE, true, 20);
        net_run_for(n, 10);
        CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], reasons[i] == OURO_REASON_NORMAL ? 2 : 1);
        CHECK(net_settle(n, 20000));
        CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
        uint64_t took = n->side[DEVICE].messages[number].came_ms - start;
        CHECK(reasons[i] == OURO_REASON_NORMAL ? took == 150 : took >= 2150 && took <= 3150);
        net_free(n);
    }
}

/* Both directions are busy while sessions are replaced; nothing is unknown, nothing comes twice. */
static void rekeying_drains_both_ways(void) {
    for (int small = 0; small < 2; small++)
        for (uint64_t seed = 1; seed <= 12; seed++) {
            net_options o;
            memset(&o, 0, sizeof o);
            o.small = small == 1;
            o.evolving = seed % 2 == 1;
            o.rekey_packets = 60;
            keys_forget();
            net *n = connected_with(&o, seed);
            n->path.loss = seed > 6 ? 0.1 : 0;
            for (int i = 0; i < 300; i++) {
                (void)net_send(n, DEVICE, true, 20);
                (void)net_send(n, GATEWAY, i % 3 != 0, 20);
                net_run_for(n, 20);
            }
            CHECK(net_settle(n, HOUR));
            CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), n->side[DEVICE].count);
            CHECK_EQUAL(net_count(n, GATEWAY, UNKNOWN), 0);
            CHECK(n->side[DEVICE].established >= 4);
            for (int who = 0; who < 2; who++)
                for (uint32_t i = 0; i < n->side[who].count; i++)
                    if (n->side[who].messages[i].reliable)
                        CHECK(n->side[who].messages[i].outcome == DELIVERED &&
                              n->side[who].messages[i].handed_on == 1);
            CHECK_EQUAL(keys_repeated, 0);
            CHECK_EQUAL(n->trouble, 0);
            net_run_for(n, 2 * MINUTE);
            /* Older sessions are gone in time. */
            CHECK(n->side[DEVICE].link.live[1] == NULL);
            CHECK(n->side[GATEWAY].link.live[1] == NULL);
            net_free(n);
        }
}

/* Make before break: the old session works until the new one does; the small one closes first. */
static void the_order_of_rekeying(void) {
    for (int small = 0; small < 2; small++) {
        net_options o;
        memset(&o, 0, sizeof o);
        o.small = small == 1;
        net *n = connected_with(&o, 20);
        CHECK(ouro_link_rekey(&n->side[DEVICE].link, n->now_ms) == OURO_OK);
        net_pump(n, DEVICE);
        net_run_for(n, 5000);
        const net_sent *hello = net_find(n, DEVICE, OURO_HELLO, 0);
        const net_sent *close = net_find(n, DEVICE, OURO_CLOSE, 0);
        CHECK(hello != NULL && close != NULL);
        if (hello != NULL && close != NULL)
            CHECK_EQUAL(close->at_ms < hello->at_ms, small);
        CHECK_EQUAL(n->side[GATEWAY].types[OURO_CLOSE], 1);
        CHECK_EQUAL(n->side[DEVICE].established, 2);
        CHECK_EQUAL(n->side[GATEWAY].established, 2);
        net_free(n);
    }
}

static void a_day_is_old_enough(void) {
    net *n = connected(21);
    net_run_for(n, DAY - MINUTE);
    CHECK_EQUAL(n->side[DEVICE].established, 1);
    net_run_for(n, 2 * MINUTE);
    CHECK_EQUAL(n->side[DEVICE].established, 2);
    CHECK_EQUAL(n->side[GATEWAY].established, 2);
    net_free(n);
}

/* A server that wants a new session sends CLOSE 2; the client makes one at once. */
static void the_server_asks(void) {
    for (int small = 0; small < 2; small++) {
        net_options o;
        memset(&o, 0, sizeof o);
        o.small = small == 1;
        net *n = connected_with(&o, 22);
        for (int i = 0; i < 40; i++) {
            (void)net_send(n, DEVICE, true, 20);
            (void)net_send(n, GATEWAY, true, 20);
            if (i == 20) {
                CHECK(ouro_link_rekey(&n->side[GATEWAY].link, n->now_ms) == OURO_OK);
                net_pump(n, GATEWAY);
            }
            net_run_for(n, 15);
        }
        CHECK(net_settle(n, MINUTE));
        CHECK(n->side[GATEWAY].types[OURO_CLOSE] >= 1);
        CHECK_EQUAL(n->side[DEVICE].established, 2);
        CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), n->side[DEVICE].count);
        CHECK_EQUAL(net_count(n, GATEWAY, DELIVERED), n->side[GATEWAY].count);
        CHECK_EQUAL(n->trouble, 0);
        net_free(n);
    }
}

/* With reason 2 the closer still opens and acknowledges DATA, and repeats CLOSE for 60 s. */
static void close_2_unanswered(void) {
    net *n = connected(23);
    CHECK(ouro_link_rekey(&n->side[GATEWAY].link, n->now_ms) == OURO_OK);
    n->path.down = true;
    uint64_t start = n->now_ms;
    net_pump(n, GATEWAY);
    net_run_for(n, 10000);
    CHECK(n->side[GATEWAY].types[OURO_CLOSE] >= 3);
    net_run_until(n, start + 59999);
    CHECK(n->side[GATEWAY].link.live[0] != NULL);
    uint64_t wait = 0;
    for (size_t i = 1; net_find(n, GATEWAY, OURO_CLOSE, i) != NULL; i++) {
        uint64_t last = wait;
        wait = net_find(n, GATEWAY, OURO_CLOSE, i)->at_ms -
               net_find(n, GATEWAY, OURO_CLOSE, i - 1)->at_ms;
        CHECK(i == 1 || wait == 2 * last || wait == 8000);
    }
    net_run_until(n, start + 60001);
    CHECK(n->side[GATEWAY].link.live[0] == NULL);
    net_free(n);
    n = connected(24);
    n->drop[GATEWAY] = 1u << OURO_CLOSE;
    CHECK(ouro_link_rekey(&n->side[GATEWAY].link, n->now_ms) == OURO_OK);
    net_pump(n, GATEWAY);
    net_run_for(n, 1000);
    uint32_t number = net_send(n, DEVICE, true, 20);
    net_run_for(n, 1000);
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
    net_free(n);
}

/* A server confirms 60 sessions of a device at once and one a second after that. */
static void sessions_are_confirmed_slowly(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 25;
    net *n = net_new(&o);
    n->path.delay_ms = 1;
    for (int i = 0; i < 90; i++) {
        net_connect(n);
        net_run_for(n, 10);
        if (i < 60)
            CHECK_EQUAL(n->side[GATEWAY].established, (unsigned)i + 1);
        net_restart(n, DEVICE);
    }
    /* 0.9 s in all: */
    CHECK_EQUAL(n->side[GATEWAY].established, 60);
    for (int i = 0; i < 200; i++) {
        net_connect(n);
        net_run_for(n, 100);
        net_restart(n, DEVICE);
    }
    CHECK(n->side[GATEWAY].established >= 78 && n->side[GATEWAY].established <= 81);
    /* A first packet beyond that comes again, and gets in. */
    net_connect(n);
    net_run_for(n, 10000);
    CHECK_EQUAL(n->side[DEVICE].link.live[0] != NULL && ouro_link_is_open(&n->side[DEVICE].link),
                1);
    CHECK_EQUAL(n->side[DEVICE].link.live[0]->id, n->side[GATEWAY].link.live[0]->id);
    net_free(n);
}

/* The session that is replaced stays 60 s to drain; at most one such. */
static void a_replaced_session_drains(void) {
    net *n = connected(27);
    n->path.down = true;
    uint32_t number = net_send(n, GATEWAY, true, 20);
    n->path.down = false;
    n->drop[GATEWAY] = 1u << OURO_DATA | 1u << OURO_PING;
    uint32_t first = n->side[GATEWAY].link.live[0]->id;
    net_restart(n, DEVICE);
    net_connect(n);
    net_run_for(n, 500);
    uint64_t start = n->now_ms;
    CHECK_EQUAL(n->side[GATEWAY].established, 2);
    CHECK_EQUAL(n->side[GATEWAY].link.live[1]->id, first);
    net_run_until(n, start + 59000);
    CHECK_EQUAL(n->side[GATEWAY].messages[number].outcome, PENDING);
    CHECK(n->side[GATEWAY].link.live[1] != NULL);
    net_run_until(n, start + 60000);
    CHECK(n->side[GATEWAY].link.live[1] == NULL);
    CHECK_EQUAL(n->side[GATEWAY].messages[number].outcome, UNKNOWN);
    for (int i = 0; i < 3; i++) {
        uint32_t last = n->side[GATEWAY].link.live[0]->id;
        net_restart(n, DEVICE);
        net_connect(n);
        net_run_for(n, 500);
        CHECK_EQUAL(n->side[GATEWAY].link.live[1]->id, last);
        CHECK(n->side[GATEWAY].link.live[2] == NULL);
    }
    net_free(n);
}

static void an_idle_session_ends_at_the_server(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.rekey_age_ms = 100 * (uint64_t)DAY;
    net *n = connected_with(&o, 26);
    net_run_for(n, 7 * (uint64_t)DAY - 20000);
    CHECK_EQUAL(n->side[GATEWAY].closed, 0);
    net_run_for(n, 20000);
    CHECK_EQUAL(n->side[GATEWAY].closed, 1);
    CHECK_EQUAL(n->side[GATEWAY].closed_reason, OURO_REASON_IDLE);
    CHECK_EQUAL(n->side[DEVICE].closed_reason, OURO_REASON_IDLE);
    net_run_for(n, HOUR);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], 1);
    uint32_t number = net_send(n, DEVICE, true, 20);
    CHECK(net_settle(n, 10000));
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
    net_free(n);
}

void close_tests(void) {
    RUN(close_when_all_is_said);
    RUN(both_close_at_once);
    RUN(what_is_missing_is_told);
    RUN(an_unknown_reason_counts_as_0);
    RUN(at_once);
    RUN(to_a_sleeping_peer);
    RUN(data_after_ones_own_close);
    RUN(close_as_the_first_packet);
    RUN(after_the_peers_close);
    RUN(rekeying_drains_both_ways);
    RUN(the_order_of_rekeying);
    RUN(a_day_is_old_enough);
    RUN(the_server_asks);
    RUN(close_2_unanswered);
    RUN(sessions_are_confirmed_slowly);
    RUN(a_replaced_session_drains);
    RUN(an_idle_session_ends_at_the_server);
}
