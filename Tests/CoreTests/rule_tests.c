/* The rules of sections 5 and 6, each by itself on a virtual clock: sending and acknowledging. */
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

static void an_idle_link_is_silent(void) {
    net *n = simple(1, 50);
    for (int i = 0; i < 10; i++) {
        (void)net_send(n, DEVICE, i % 2 == 0, 20);
        (void)net_send(n, GATEWAY, i % 2 == 1, 20);
    }
    net_run_for(n, MINUTE);
    uint64_t packets = all_packets(n);
    net_run_for(n, 20 * HOUR);
    CHECK_EQUAL(all_packets(n), packets);
    CHECK_EQUAL(net_count(n, DEVICE, PENDING) + net_count(n, GATEWAY, PENDING), 0);
    net_free(n);
}

static void keep_alive_after_25_s(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 2;
    o.keep_alive_ms = 25000;
    net *n = net_connected(&o, 50);
    net_run_for(n, 10 * MINUTE);
    uint64_t last = 0;
    uint32_t pings = 0;
    for (size_t i = 0; net_find(n, DEVICE, OURO_PING, i) != NULL; i++, pings++) {
        uint64_t at = net_find(n, DEVICE, OURO_PING, i)->at_ms;
        /* 25 s after the PONG, which came 100 ms after the PING. */
        CHECK(last == 0 || at == last + 25100);
        last = at;
    }
    CHECK(pings >= 23 && pings <= 24);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_PING], 0);
    net_free(n);
}

static struct {
    ouro_event events[16];
    uint8_t data[16][32];
    size_t count;
} came;

static void keep(net *n, int who, const ouro_event *event) {
    (void)n;
    (void)who;
    if (came.count == 16)
        return;
    came.events[came.count] = *event;
    memcpy(came.data[came.count++], event->data, event->len < 32 ? event->len : 32);
}

static void once_and_batch(void) {
    net *n = simple(3, 50);
    n->message = keep;
    came.count = 0;
    uint8_t batch[64];
    size_t len = 0;
    CHECK(ouro_batch_append(batch, sizeof batch, &len, (const uint8_t *)"one", 3) == OURO_OK);
    CHECK(ouro_batch_append(batch, sizeof batch, &len, (const uint8_t *)"", 0) == OURO_OK);
    CHECK(ouro_batch_append(batch, sizeof batch, &len, (const uint8_t *)"three", 5) == OURO_OK);
    ouro_message plain = {.data = (const uint8_t *)"hi", .len = 2, .reliable = true};
    ouro_message once = plain, both;
    once.box = 0x89abcdef;
    once.seq = 7;
    both = once;
    both.seq = 8;
    both.batch = true;
    both.data = batch;
    both.len = len;
    CHECK(net_send_message(n, DEVICE, &plain) != UINT32_MAX);
    CHECK(net_send_message(n, DEVICE, &once) != UINT32_MAX);
    CHECK(net_send_message(n, DEVICE, &both) != UINT32_MAX);
    both.len--; /* does not fill */
    CHECK(net_send_message(n, DEVICE, &both) == UINT32_MAX);
    CHECK(net_settle(n, 3000));
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 3);
    CHECK_EQUAL(came.count, 5);
    CHECK(!came.events[0].once && !came.events[0].batch && came.events[0].last);
    CHECK(came.events[1].once && came.events[1].last);
    CHECK_EQUAL(came.events[1].box, 0x89abcdef);
    CHECK_EQUAL(came.events[1].seq, 7);
    CHECK_EQUAL(came.events[1].len, 2);
    CHECK_BYTES(came.data[1], (const uint8_t *)"hi", 2);
    for (size_t i = 2; i < 5; i++) {
        CHECK(came.events[i].once && came.events[i].batch);
        CHECK_EQUAL(came.events[i].seq, 8);
        CHECK_EQUAL(came.events[i].last, i == 4);
    }
    CHECK_EQUAL(came.events[3].len, 0);
    CHECK_EQUAL(came.events[4].len, 5);
    CHECK_BYTES(came.data[4], (const uint8_t *)"three", 5);
    net_free(n);
}

static void unreliable_ones_do_not_wait(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 5;
    net *n = net_new(&o);
    n->path.down = true;
    ouro_message m = {.data = (const uint8_t *)"late", .len = 4};
    uint32_t usual = net_send_message(n, DEVICE, &m);
    m.ttl_ms = 500;
    uint32_t short_one = net_send_message(n, DEVICE, &m);
    m.ttl_ms = 0;
    m.reliable = true;
    uint32_t reliable = net_send_message(n, DEVICE, &m);
    net_run_for(n, 10000);
    const net_message *sent = n->side[DEVICE].messages;
    CHECK_EQUAL(sent[usual].outcome, FAILED);
    CHECK_EQUAL(sent[usual].ended_ms - sent[usual].sent_ms, 2000);
    CHECK_EQUAL(sent[short_one].outcome, FAILED);
    CHECK_EQUAL(sent[short_one].ended_ms - sent[short_one].sent_ms, 500);
    CHECK_EQUAL(sent[reliable].outcome, PENDING);
    net_free(n);
}

/* Until it has authenticated a packet from the server a client uses counters 0 to 3 alone. */
static void four_counters_before_the_server_is_heard(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 9;
    net *n = net_new(&o);
    net_record(n);
    n->drop[GATEWAY] = ~(1u << OURO_WELCOME);
    for (int i = 0; i < 12; i++)
        (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 8000);
    CHECK_EQUAL(ouro_link_sent_messages(&n->side[DEVICE].link), 4);
    n->drop[GATEWAY] = 0;
    CHECK(net_settle(n, MINUTE));
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 12);
    net_free(n);
}

/* The same where the congestion window says nothing: unreliable ones are soon out of flight. */
static void four_counters_however_slowly(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 19;
    net *n = net_new(&o);
    n->drop[GATEWAY] = ~(1u << OURO_WELCOME);
    net_connect(n);
    net_run_for(n, 500);
    n->drop[DEVICE] = 1u << OURO_HELLO;
    for (int i = 0; i < 10; i++) {
        (void)net_send(n, DEVICE, false, 20);
        net_run_for(n, 5000);
    }
    CHECK_EQUAL(ouro_link_sent_messages(&n->side[DEVICE].link), 4);
    CHECK_EQUAL(net_count(n, DEVICE, FAILED), 6);
    net_free(n);
}

/* n <= acked + R, where base does not stand in the way: unreliable ones, never acknowledged. */
static void unreliable_ones_stay_in_reach(void) {
    net *n = simple(20, 50);
    n->side[GATEWAY].unsafe = true;
    for (int i = 0; i < 400; i++) {
        /* The path lives: what the gateway sends keeps the window open. */
        (void)net_send(n, GATEWAY, false, 20);
        (void)net_send(n, DEVICE, false, 20);
        net_run_for(n, 500);
    }
    /* acked is -1, R is 16: the highest is 15. */
    CHECK_EQUAL(ouro_link_sent_messages(&n->side[DEVICE].link), 16);
    net_free(n);
}

static struct { unsigned checked, broken; } rules;

/* n <= acked + R and n < base + R, against what the receiver can have acknowledged at most. */
static bool watch_reach(net *n, int from, const uint8_t *packet, size_t len) {
    (void)len;
    net_side *to = &n->side[1 - from];
    if (!is_data(packet))
        return false;
    uint64_t c = net_counter(packet);
    uint32_t id = ouro_packet_session_id(packet, len);
    rules.checked++;
    const ouro_session *session = to->alive ? net_session(n, 1 - from) : NULL;
    if (session == NULL || session->tail.id != id) {
        rules.broken += c > 3;
        return false;
    }
    uint64_t reach = to->settings.reach, lowest = 0;
    while (lowest < session->window.next) {
        const ouro_slot *slot = ouro_window_slot(&session->window, lowest);
        if (slot != NULL && slot->state != OURO_SLOT_OPENED)
            break;
        lowest++;
    }
    /* All are reliable: what has not come yet is in flight, so base is not above it. */
    rules.broken += c >= session->tail.done_next + reach || c >= lowest + reach;
    const ouro_tail *sender = n->side[from].link.live[0];
    rules.broken += sender->id == id && c >= sender->acked_next + reach;
    return false;
}

static void a_sender_stays_in_reach(void) {
    static const uint8_t reaches[] = {4, 5, 8, 16, 64};
    memset(&rules, 0, sizeof rules);
    for (uint64_t seed = 0; seed < 20; seed++) {
        net_options o;
        memset(&o, 0, sizeof o);
        o.seed = seed;
        o.reach[DEVICE] = reaches[seed % 5];
        o.reach[GATEWAY] = reaches[seed / 4];
        net *n = net_new(&o);
        n->filter = watch_reach;
        n->path.loss = 0.05 * (double)(seed % 6);
        n->path.jitter_ms = seed % 3 == 0 ? 500 : 0;
        for (int i = 0; i < 200; i++) {
            (void)net_send(n, DEVICE, true, 20);
            (void)net_send(n, GATEWAY, true, 20);
            net_run_for(n, 5);
        }
        CHECK(net_settle(n, HOUR));
        net_free(n);
    }
    CHECK(rules.checked > 4000);
    CHECK_EQUAL(rules.broken, 0);
}

/* A duplicate is acknowledged at most once in 100 ms, a sooner one waits. */
static void duplicates_are_answered_slowly(void) {
    for (int asked = 0; asked < 2; asked++) {
        net *n = simple(10, 50);
        (void)net_send(n, DEVICE, true, 20); /* so that a lone unreliable one asks for nothing */
        net_run_for(n, 1000);
        (void)net_send(n, DEVICE, asked == 1, 20);
        uint8_t packet[OURO_MAX_PACKET], copy[OURO_MAX_PACKET];
        size_t len = n->last_len[DEVICE];
        memcpy(packet, n->last[DEVICE], len);
        CHECK_EQUAL(packet[1] & OURO_FLAG_ACK_REQ, asked);
        net_run_for(n, 1000);
        net_record(n);
        for (int i = 0; i < 200; i++) {
            memcpy(copy, packet, len);
            CHECK(net_inject(n, GATEWAY, &n->side[DEVICE].addr, copy, len) == OURO_DROP_DUPLICATE);
            net_run_for(n, 5);
        }
        net_run_for(n, 1000);
        uint64_t last = 0;
        size_t acks = 0;
        for (; net_find(n, GATEWAY, OURO_ACK, acks) != NULL; acks++) {
            uint64_t at = net_find(n, GATEWAY, OURO_ACK, acks)->at_ms;
            CHECK(last == 0 || at >= last + 100);
            last = at;
        }
        CHECK(asked == 1 ? acks >= 10 && acks <= 11 : acks == 0);
        net_free(n);
    }
}

/* Each DATA packet is looked up in the window once, a duplicate too. */
static void the_window_is_asked_once(void) {
    net *n = simple(10, 50);
    uint8_t packet[OURO_MAX_PACKET];
    net_run_for(n, 1000);
    window_checks = 0;
    (void)net_send(n, DEVICE, true, 20);
    size_t len = n->last_len[DEVICE];
    memcpy(packet, n->last[DEVICE], len);
    net_run_for(n, 1000);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 1);
    CHECK_EQUAL(window_checks, 1);
    CHECK(net_inject(n, GATEWAY, &n->side[DEVICE].addr, packet, len) == OURO_DROP_DUPLICATE);
    CHECK_EQUAL(window_checks, 2);
    net_free(n);
}

/* One acknowledgement for all packets at hand, in a message that goes anyway where there is one. */
static void acknowledgements_travel_along(void) {
    net *n = simple(11, 50);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 49);
    n->side[GATEWAY].unsafe = true;
    net_run_for(n, 2);
    n->side[GATEWAY].unsafe = false;
    ouro_link_done(&n->side[GATEWAY].link, net_session(n, GATEWAY)->tail.id, 0);
    (void)net_send(n, GATEWAY, true, 20);
    net_run_for(n, 100);
    CHECK_EQUAL(n->side[DEVICE].messages[0].outcome, DELIVERED);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_ACK], 0);
    CHECK_EQUAL(net_find(n, GATEWAY, OURO_DATA, 0)->bytes[1] & OURO_FLAG_ACKS, OURO_FLAG_ACKS);
    net_free(n);
}

/*
 * Unreliable messages keep acknowledgements coming: at n >= acked + w/2 one asks for it, and at
 * n >= acked + R/2, with nothing reliable in flight, it is sent as a reliable one.
 */
static void unreliable_ones_ask_in_time(void) {
    net *n = simple(16, 50);
    n->drop[GATEWAY] = 1u << OURO_ACK | 1u << OURO_NACK | 1u << OURO_PONG;
    n->drop[DEVICE] = 1u << OURO_HELLO;
    for (uint64_t c = 0; c < 8; c++) {
        net_record(n);
        (void)net_send(n, DEVICE, false, 20);
        net_run_for(n, 10000);
        const net_sent *sent = net_find(n, DEVICE, OURO_DATA, 0);
        CHECK_EQUAL(net_counter(sent->bytes), c);
        /* acked is -1 all the time, R is 16, w is 4. */
        CHECK_EQUAL(sent->bytes[1] & OURO_FLAG_ACK_REQ, c >= 1);
        CHECK_EQUAL(net_find(n, DEVICE, OURO_DATA, 1) != NULL, c >= 7);
    }
    net_free(n);
}

static uint64_t hash_of(net *n, uint64_t hash) {
    for (int who = 0; who < 2; who++)
        for (size_t i = 0; i < n->last_len[who]; i++)
            hash = (hash ^ n->last[who][i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Two links in one process do not touch each other: each sends the same bytes as it does alone. */
static void two_links_in_one_process(void) {
    uint64_t alone[2], together[2] = {1, 1};
    for (int pass = 0; pass < 2; pass++) {
        net *nets[2];
        net_options o;
        memset(&o, 0, sizeof o);
        for (unsigned i = 0; i < 2; i++) {
            o.seed = 100 + i;
            o.evolving = i == 1;
            nets[i] = net_new(&o);
            nets[i]->path.loss = 0.2;
        }
        uint64_t hash[2] = {1, 1};
        /* Alone: one after the other; together: step by step. */
        for (int outer = 0; outer < (pass == 0 ? 2 : 100); outer++)
            for (int inner = 0; inner < (pass == 0 ? 100 : 2); inner++) {
                int which = pass == 0 ? outer : inner;
                (void)net_send(nets[which], DEVICE, true, 20);
                (void)net_send(nets[which], GATEWAY, true, 20);
                net_run_for(nets[which], 50);
                hash[which] = hash_of(nets[which], hash[which]);
            }
        memcpy(pass == 0 ? alone : together, hash, sizeof hash);
        net_free(nets[0]);
        net_free(nets[1]);
    }
    CHECK_EQUAL(alone[0], together[0]);
    CHECK_EQUAL(alone[1], together[1]);
    CHECK(alone[0] != alone[1]);
}

void rule_tests(void) {
    RUN(an_idle_link_is_silent);
    RUN(keep_alive_after_25_s);
    RUN(once_and_batch);
    RUN(unreliable_ones_do_not_wait);
    RUN(four_counters_before_the_server_is_heard);
    RUN(four_counters_however_slowly);
    RUN(unreliable_ones_stay_in_reach);
    RUN(a_sender_stays_in_reach);
    RUN(duplicates_are_answered_slowly);
    RUN(the_window_is_asked_once);
    RUN(acknowledgements_travel_along);
    RUN(unreliable_ones_ask_in_time);
    RUN(two_links_in_one_process);
}
