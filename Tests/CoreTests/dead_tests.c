/* A path that dies and comes back, at the client; a device that is silent, at the server. */
#include "check.h"
#include "net.h"

#include <string.h>

enum { MINUTE = 60000, HOUR = 3600000 };

static net *connected(uint64_t seed, uint64_t one_way) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    return net_connected(&o, one_way);
}

/* A dead path: HELLOs beside the session, DEAD at the give-up time, and nothing is lost. */
static void a_dead_path_comes_back(void) {
    for (uint64_t down = 60000; down <= 40 * MINUTE; down *= 6) {
        net *n = connected(9, 50);
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 1000);
        uint64_t start = n->now_ms, packets = n->side[DEVICE].packets;
        n->path.down = true;
        uint32_t a = net_send(n, DEVICE, true, 20), b = net_send(n, DEVICE, true, 20);
        net_run_until(n, start + 44999);
        CHECK_EQUAL(n->side[DEVICE].dead, 0);
        CHECK(n->side[DEVICE].types[OURO_HELLO] > 1);
        net_run_until(n, start + 60000);
        CHECK_EQUAL(n->side[DEVICE].dead, 1);
        net_run_until(n, start + down);
        CHECK_EQUAL(n->side[DEVICE].messages[a].outcome, PENDING);
        /* Doubled up to 5 min: an outage of 36 min does not cost hundreds of packets. */
        CHECK(n->side[DEVICE].packets - packets < 100);
        n->path.down = false;
        CHECK(net_settle(n, 10 * MINUTE));
        CHECK_EQUAL(n->side[DEVICE].messages[a].outcome, DELIVERED);
        CHECK_EQUAL(n->side[DEVICE].messages[b].outcome, DELIVERED);
        CHECK_EQUAL(n->side[DEVICE].messages[a].handed_on, 1);
        CHECK_EQUAL(n->side[DEVICE].dead, 1);
        CHECK_EQUAL(n->side[DEVICE].alive_again, 1);
        net_free(n);
    }
}

/* The give-up time is 45 s at least, and the next time-out after that at most. */
static void when_a_path_is_dead(void) {
    for (uint64_t one_way = 10; one_way <= 200; one_way += 10)
        for (int who = 0; who < 2; who++) {
            net *n = connected(18, one_way);
            n->path.down = true;
            uint64_t start = n->now_ms;
            (void)net_send(n, who, true, 20);
            net_run_until(n, start + 44999);
            CHECK_EQUAL(n->side[who].dead, 0);
            net_run_until(n, start + 45000 + 8000);
            CHECK_EQUAL(n->side[who].dead, 1);
            net_free(n);
        }
}

/* A new message makes the next try at once, if the last HELLO is at least 8 s old. */
static void a_new_message_tries_at_once(void) {
    net *n = connected(10, 50);
    n->path.down = true;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 20 * MINUTE);
    uint32_t hellos = n->side[DEVICE].types[OURO_HELLO];
    for (int i = 0; i < 10000 && n->side[DEVICE].types[OURO_HELLO] == hellos; i++)
        net_run_for(n, 100);
    hellos = n->side[DEVICE].types[OURO_HELLO];
    net_run_for(n, 7800);
    (void)net_send(n, DEVICE, true, 20); /* the last is 7.8 to 7.9 s old */
    net_run_for(n, 1000);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], hellos);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 1);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], hellos + 1);
    n->path.down = false;
    CHECK(net_settle(n, 10 * MINUTE));
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 3);
    net_free(n);
}

/* When the handshake beside the session begins: section 6, "A dead path, client". */
static void when_the_handshake_begins(void) {
    static const uint64_t one_way[] = {1, 10, 50, 200, 500};
    for (size_t i = 0; i < sizeof one_way / sizeof one_way[0]; i++) {
        net *n = connected(11, one_way[i]);
        for (int k = 0; k < 5; k++) {
            (void)net_send(n, DEVICE, true, 20);
            net_run_for(n, 3000);
        }
        n->path.down = true;
        net_record(n);
        uint64_t start = n->now_ms;
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 30000);
        const net_sent *ping = net_find(n, DEVICE, OURO_PING, 0);
        const net_sent *hello = net_find(n, DEVICE, OURO_HELLO, 0);
        const net_sent *second = net_find(n, DEVICE, OURO_DATA, 1);
        CHECK(ping != NULL && hello != NULL && second != NULL);
        if (ping != NULL && hello != NULL && second != NULL) {
            /* The PING at the second time-out; HELLO 1 s after it, and 2 s after the first. */
            CHECK(ping->at_ms > second->at_ms);
            CHECK(hello->at_ms >= ping->at_ms + 1000);
            CHECK(hello->at_ms >= start + 2000);
            CHECK(hello->at_ms <= start + 2000 + 8 * one_way[i] + 1500);
            /* Its own time-out is the first one, whatever samples the session has. */
            uint64_t wait = net_find(n, DEVICE, OURO_HELLO, 1)->at_ms - hello->at_ms;
            CHECK(wait >= 2000 && wait <= 3000);
        }
        net_free(n);
    }
}

/* An authenticated packet of the old session before WELCOME cancels it. */
static void heard_before_welcome(void) {
    net *n = connected(12, 50);
    n->path.down = true;
    (void)net_send(n, DEVICE, true, 20);
    uint32_t hellos = n->side[DEVICE].types[OURO_HELLO];
    for (int i = 0; i < 300 && n->side[DEVICE].types[OURO_HELLO] == hellos; i++)
        net_run_for(n, 100);
    CHECK(n->side[DEVICE].types[OURO_HELLO] > hellos);
    n->path.down = false;
    n->drop[GATEWAY] = 1u << OURO_WELCOME;
    CHECK(net_settle(n, 30000));
    hellos = n->side[DEVICE].types[OURO_HELLO];
    n->drop[GATEWAY] = 0;
    net_run_for(n, 10 * MINUTE);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], hellos);
    CHECK_EQUAL(n->side[DEVICE].established, 1);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 1);
    net_free(n);
}

static uint32_t lost_session;

static bool lose_session(net *n, int from, const uint8_t *packet, size_t len) {
    (void)n;
    (void)from;
    return ouro_packet_session_id(packet, len) == lost_session;
}

/* Once the new session works, what is in flight in the old one is sent again at once, there. */
static void old_packets_after_a_new_session(void) {
    net *n = connected(17, 50);
    lost_session = n->side[DEVICE].link.live[0]->id;
    n->filter = lose_session;
    (void)net_send(n, DEVICE, true, 20);
    for (int i = 0; i < 20000 && n->side[DEVICE].established < 2; i++)
        net_run_for(n, 1);
    CHECK_EQUAL(n->side[DEVICE].established, 2);
    net_record(n);
    n->filter = NULL;
    uint64_t start = n->now_ms;
    CHECK(net_settle(n, 10000));
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 1);
    CHECK_EQUAL(n->side[DEVICE].messages[0].handed_on, 1);
    /* It went out with the confirmation, lost still; again after a time-out of 2 s at most. */
    const net_sent *again = net_find(n, DEVICE, OURO_DATA, 0);
    CHECK(again != NULL && again->at_ms <= start + 2000);
    CHECK_EQUAL(ouro_packet_session_id(again->bytes, again->len), lost_session);
    CHECK_EQUAL(n->side[DEVICE].dead, 0);
    net_free(n);
}

/* An acknowledgement that comes late does not hide that the path is dead. */
static void a_late_acknowledgement_hides_nothing(void) {
    net *n = connected(13, 50);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 60);
    uint8_t ack[OURO_MAX_PACKET];
    size_t ack_len = n->last_len[GATEWAY];
    memcpy(ack, n->last[GATEWAY], ack_len);
    CHECK_EQUAL(ack[0] & 15, OURO_ACK);
    n->packet_count = 0; /* it is held back */
    n->path.down = true;
    uint32_t lost = net_send(n, DEVICE, true, 20);
    net_run_for(n, 1500);
    CHECK(net_inject(n, DEVICE, NULL, ack, ack_len) == OURO_OK);
    CHECK_EQUAL(n->side[DEVICE].messages[0].outcome, DELIVERED);
    uint32_t hellos = n->side[DEVICE].types[OURO_HELLO];
    net_run_for(n, 10000);
    CHECK(n->side[DEVICE].types[OURO_HELLO] > hellos);
    /* It was sent again, so it gave no sample either. */
    CHECK(ouro_link_rtt(&n->side[DEVICE].link) <= 105);
    net_run_for(n, 60000);
    CHECK_EQUAL(n->side[DEVICE].dead, 1);
    n->path.down = false;
    CHECK(net_settle(n, 5 * MINUTE));
    CHECK_EQUAL(n->side[DEVICE].messages[lost].outcome, DELIVERED);
    net_free(n);
}

/* The gateway forgot everything: what was in flight is unknown after 10 s, the rest goes on. */
static void a_gateway_that_forgot(void) {
    net *n = connected(14, 50);
    net_restart(n, GATEWAY);
    uint32_t number = net_send(n, DEVICE, true, 20);
    CHECK(net_settle(n, 2 * MINUTE));
    const net_message *m = &n->side[DEVICE].messages[number];
    CHECK_EQUAL(m->outcome, UNKNOWN);
    CHECK_EQUAL(m->handed_on, 0);
    CHECK_EQUAL(n->side[DEVICE].established, 2);
    CHECK(m->ended_ms - m->sent_ms <= 20000);
    number = net_send(n, DEVICE, true, 20);
    CHECK(net_settle(n, 1000));
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
    net_free(n);
}

/* A server never ends a session because a device is silent: its timers stop, and start anew. */
static void a_silent_device(void) {
    net *n = connected(15, 50);
    n->path.down = true;
    uint64_t start = n->now_ms;
    uint32_t number = net_send(n, GATEWAY, true, 20);
    net_run_until(n, start + 44999);
    CHECK_EQUAL(n->side[GATEWAY].dead, 0);
    net_run_until(n, start + MINUTE);
    CHECK_EQUAL(n->side[GATEWAY].dead, 1);
    uint64_t packets = n->side[GATEWAY].packets;
    net_run_for(n, 100 * (uint64_t)HOUR);
    CHECK_EQUAL(n->side[GATEWAY].packets, packets);
    CHECK_EQUAL(n->side[GATEWAY].closed, 0);
    CHECK_EQUAL(n->side[GATEWAY].messages[number].outcome, PENDING);
    n->path.down = false;
    n->drop[DEVICE] = 1u << OURO_HELLO; /* the session is old; the device may not renew it here */
    CHECK(ouro_link_ping(&n->side[DEVICE].link) == OURO_OK);
    net_pump(n, DEVICE);
    net_run_for(n, 1000);
    CHECK_EQUAL(n->side[GATEWAY].messages[number].outcome, DELIVERED);
    CHECK_EQUAL(n->side[GATEWAY].alive_again, 1);
    CHECK_EQUAL(n->side[GATEWAY].established, 1);
    net_free(n);
}

/* An unanswered PING ends after six time-outs when nothing needs it. */
static void a_ping_gives_up(void) {
    net *n = connected(16, 50);
    n->drop[GATEWAY] = UINT32_MAX;
    n->drop[DEVICE] = 1u << OURO_HELLO;
    uint32_t pings = n->side[GATEWAY].types[OURO_PING];
    CHECK(ouro_link_ping(&n->side[GATEWAY].link) == OURO_OK);
    net_pump(n, GATEWAY);
    net_run_for(n, 10 * MINUTE);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_PING] - pings, 6);
    uint64_t wait = 0;
    for (size_t i = 1; i < 6; i++) {
        const net_sent *now = net_find(n, GATEWAY, OURO_PING, i);
        uint64_t last = wait;
        wait = now->at_ms - net_find(n, GATEWAY, OURO_PING, i - 1)->at_ms;
        CHECK(i == 1 || wait == 2 * last || wait == 8000);
    }
    net_free(n);
}

/* Once a dead path carries something again, all that is in flight goes out at once. */
static void sent_again_at_once(void) {
    for (int who = 0; who < 2; who++) {
        net *n = connected(20, 50);
        n->path.down = true;
        n->drop[DEVICE] = 1u << OURO_HELLO;
        for (int i = 0; i < 2; i++)
            (void)net_send(n, who, true, 20);
        net_run_for(n, 10 * MINUTE);
        CHECK_EQUAL(n->side[who].dead, 1);
        /* A device has just tried; a server has stopped to. */
        uint32_t data = n->side[DEVICE].types[OURO_DATA];
        for (int i = 0; who == DEVICE && i < 6000 && n->side[who].types[OURO_DATA] == data; i++)
            net_run_for(n, 100);
        CHECK(who == GATEWAY || n->side[who].types[OURO_DATA] > data);
        n->path.down = false;
        CHECK(net_give(n, 1 - who, OURO_PING, 0, NULL, 0) == OURO_OK);
        CHECK_EQUAL(n->side[who].alive_again, 1);
        net_run_for(n, 50);
        CHECK(n->side[who].messages[0].handed_on == 1 && n->side[who].messages[1].handed_on == 1);
        net_free(n);
    }
}

/* A PING that the old session still waits for does not hold up the new one's. */
static void confirmed_at_once(void) {
    net *n = connected(21, 50);
    n->path.down = true;
    CHECK(ouro_link_ping(&n->side[DEVICE].link) == OURO_OK);
    net_pump(n, DEVICE);
    net_run_for(n, 4000);
    CHECK(n->side[DEVICE].types[OURO_HELLO] > 1);
    n->path.down = false;
    uint32_t first = n->side[DEVICE].link.live[0]->id;
    n->drop[DEVICE] = 1u << OURO_PING; /* nothing is heard in the old session */
    for (int i = 0; i < 60000 && n->side[DEVICE].link.live[0]->id == first; i++)
        net_run_for(n, 1);
    CHECK(n->side[DEVICE].link.live[0]->id != first);
    CHECK_EQUAL(n->side[DEVICE].link.live[0]->tx_control_next, 1);
    net_free(n);
}

static uint64_t lost_counter;

/* No PING comes through, and one message does not. */
static bool lose_one_message(net *n, int from, const uint8_t *packet, size_t len) {
    (void)n;
    (void)len;
    int type = packet[0] & 15;
    return from == DEVICE &&
           (type == OURO_PING || (type == OURO_DATA && net_counter(packet) == lost_counter));
}

/* A message that was in flight long before the path died tells of it as soon as any other. */
static void what_was_heard_before_it_was_sent_again(void) {
    net_options o = {.seed = 19, .reach = {64, 64}};
    net *n = net_connected(&o, 50);
    lost_counter = net_session(n, DEVICE)->tail.tx_next;
    n->filter = lose_one_message;
    (void)net_send(n, DEVICE, true, 20);
    for (int i = 0; i < 40; i++) {
        (void)net_send(n, GATEWAY, true, 20);
        net_run_for(n, 60);
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 440);
    }
    CHECK_EQUAL(net_count(n, DEVICE, PENDING), 1);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], 1);
    n->path.down = true;
    net_run_for(n, 4000);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], 2);
    net_free(n);
}

void dead_tests(void) {
    RUN(a_dead_path_comes_back);
    RUN(when_a_path_is_dead);
    RUN(a_new_message_tries_at_once);
    RUN(when_the_handshake_begins);
    RUN(heard_before_welcome);
    RUN(old_packets_after_a_new_session);
    RUN(a_late_acknowledgement_hides_nothing);
    RUN(a_gateway_that_forgot);
    RUN(a_silent_device);
    RUN(a_ping_gives_up);
    RUN(sent_again_at_once);
    RUN(confirmed_at_once);
    RUN(what_was_heard_before_it_was_sent_again);
}
