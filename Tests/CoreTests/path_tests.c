/* Paths: an address that changes, probes, a path that dies, a device that is silent. */
#include "check.h"
#include "net.h"

#include <string.h>

enum { MINUTE = 60000, HOUR = 3600000 };

static net *connected(uint64_t seed, uint64_t one_way, bool sampled) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    net *n = net_new(&o);
    n->path.delay_ms = one_way;
    if (sampled)
        net_connect(n);
    else
        (void)net_send(n, DEVICE, false, 20); /* confirmed by what asks for nothing */
    net_run_for(n, 10000 + 6 * one_way);
    CHECK_EQUAL(n->side[GATEWAY].established, 1);
    net_record(n);
    return n;
}

static uint8_t known(net *n) {
    return net_session(n, GATEWAY)->path->known.bytes[1];
}

typedef struct made {
    uint8_t bytes[OURO_MAX_PACKET];
    size_t len;
} made;

/* A body that is good for every control type: an ack block of counter 0, or zeros. */
static const uint8_t zeros[32];

static ouro_status from_port(net *n, uint8_t port, const made *packet) {
    uint8_t copy[OURO_MAX_PACKET];
    ouro_addr from = net_address(port);
    memcpy(copy, packet->bytes, packet->len);
    return net_inject(n, GATEWAY, &from, copy, packet->len);
}

static void ignore(net *n, int who, const ouro_event *event) {
    (void)n;
    (void)who;
    (void)event;
}

/* The newest DATA moves the path at once; older DATA does not, but is answered where it came from.
 */
static void newest_data_moves_the_path(void) {
    net *n = connected(1, 50, true);
    n->message = ignore;
    made first, second, third;
    first.len = net_make(n, DEVICE, OURO_DATA, OURO_FLAG_ACK_REQ, zeros, 4, first.bytes);
    second.len = net_make(n, DEVICE, OURO_DATA, OURO_FLAG_ACK_REQ, zeros, 4, second.bytes);
    third.len = net_make(n, DEVICE, OURO_DATA, OURO_FLAG_ACK_REQ, zeros, 4, third.bytes);
    CHECK_EQUAL(known(n), 1);
    CHECK(from_port(n, 9, &second) == OURO_OK);
    CHECK_EQUAL(known(n), 9);
    CHECK_EQUAL(net_find(n, GATEWAY, OURO_ACK, 0)->to.bytes[1], 9);
    CHECK(from_port(n, 10, &first) == OURO_OK);
    CHECK_EQUAL(known(n), 9);
    CHECK_EQUAL(net_find(n, GATEWAY, OURO_ACK, 1)->to.bytes[1], 10);
    /* One owed to duplicates alone goes to the known address. */
    net_run_for(n, 1000);
    CHECK(from_port(n, 11, &second) == OURO_DROP_DUPLICATE);
    CHECK_EQUAL(net_find(n, GATEWAY, OURO_ACK, 2)->to.bytes[1], 9);
    CHECK_EQUAL(known(n), 9);
    /* No probe was needed for all that. */
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_PING], 0);
    net_free(n);
}

/* An ACK for several goes to where the newest of them came from. */
static void one_answer_for_several(void) {
    net *n = connected(2, 50, true);
    n->message = ignore;
    made packets[3];
    uint8_t copy[OURO_MAX_PACKET];
    for (size_t i = 0; i < 3; i++)
        packets[i].len =
            net_make(n, DEVICE, OURO_DATA, OURO_FLAG_ACK_REQ, zeros, 4, packets[i].bytes);
    static const size_t order[] = {0, 2, 1};
    for (size_t i = 0; i < 3; i++) {
        ouro_event e;
        ouro_addr from = net_address((uint8_t)(20 + order[i]));
        memcpy(copy, packets[order[i]].bytes, packets[order[i]].len);
        ouro_link *link = &n->side[GATEWAY].link;
        CHECK(ouro_link_receive(link, n->now_ms, &from, copy, packets[order[i]].len) == OURO_OK);
        CHECK(ouro_link_next_event(link, &e));
        ouro_link_done(link, e.session_id, e.counter);
    }
    net_pump(n, GATEWAY);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_ACK], 1);
    CHECK_EQUAL(net_find(n, GATEWAY, OURO_ACK, 0)->to.bytes[1], 22);
    net_free(n);
}

/* A control packet from elsewhere starts a probe, which is one PING, and moves nothing by itself.
 */
static void control_from_elsewhere_is_probed(void) {
    static const struct {
        uint8_t type, flags, len;
        bool probed;
    } kinds[] = {{OURO_PING, 0, 4, true},
                 {OURO_ACK, OURO_FLAG_ACKS, 16, true},
                 {OURO_NACK, OURO_FLAG_ACKS, 17, true},
                 {OURO_PONG, 0, 4, false},
                 {OURO_CLOSE, 0, 9, false}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        net *n = connected(3, 50, true);
        (void)net_send(n, GATEWAY, true, 20); /* for an ack block that makes sense */
        net_run_for(n, 1000);
        made packet;
        packet.len =
            net_make(n, DEVICE, kinds[i].type, kinds[i].flags, zeros, kinds[i].len, packet.bytes);
        CHECK(from_port(n, 9, &packet) == OURO_OK);
        CHECK_EQUAL(n->side[GATEWAY].types[OURO_PING], kinds[i].probed);
        if (kinds[i].probed)
            CHECK_EQUAL(net_find(n, GATEWAY, OURO_PING, 0)->to.bytes[1], 9);
        /* PONG and CLOSE go back to where their question came from. */
        const net_sent *pong = net_find(n, GATEWAY, OURO_PONG, 0);
        CHECK_EQUAL(pong != NULL, kinds[i].type == OURO_PING);
        if (pong != NULL)
            CHECK_EQUAL(pong->to.bytes[1], 9);
        const net_sent *close = net_find(n, GATEWAY, OURO_CLOSE, 0);
        CHECK_EQUAL(close != NULL, kinds[i].type == OURO_CLOSE);
        if (close != NULL)
            CHECK_EQUAL(close->to.bytes[1], 9);
        else
            CHECK_EQUAL(known(n), 1);
        /* Sent once: nothing more of it. */
        net_run_for(n, 10 * MINUTE);
        CHECK_EQUAL(n->side[GATEWAY].types[OURO_PING], kinds[i].probed);
        net_free(n);
    }
}

static void probes_are_one_a_second(void) {
    net *n = connected(4, 50, true);
    for (int i = 0; i < 100; i++) {
        made packet;
        packet.len = net_make(n, DEVICE, OURO_PING, 0, zeros, 4, packet.bytes);
        CHECK(from_port(n, (uint8_t)(9 + i % 3), &packet) == OURO_OK);
        net_run_for(n, 50);
    }
    CHECK(n->side[GATEWAY].types[OURO_PING] >= 5);
    CHECK(n->side[GATEWAY].types[OURO_PING] <= 6);
    CHECK_EQUAL(known(n), 1);
    net_free(n);
}

/* Only the newest of its space starts one: what was held back can not. */
static void held_back_control_starts_nothing(void) {
    net *n = connected(5, 50, true);
    made old, newer;
    old.len = net_make(n, DEVICE, OURO_PING, 0, zeros, 4, old.bytes);
    newer.len = net_make(n, DEVICE, OURO_PING, 0, zeros, 4, newer.bytes);
    CHECK(from_port(n, 1, &newer) == OURO_OK);
    CHECK(from_port(n, 9, &old) == OURO_OK);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_PING], 0);
    net_free(n);
}

/* The path moves on the probe's PONG, from there, within 8 s. */
static void a_probe_is_answered(void) {
    static const struct {
        uint64_t after_ms;
        uint8_t port;
        bool moves;
    } cases[] = {
        {100, 9, true}, {7900, 9, true}, {8100, 9, false}, {100, 10, false}, {100, 1, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        net *n = connected(6, 50, true);
        made packet, pong;
        packet.len = net_make(n, DEVICE, OURO_PING, 0, zeros, 4, packet.bytes);
        CHECK(from_port(n, 9, &packet) == OURO_OK);
        const net_sent *probe = net_find(n, GATEWAY, OURO_PING, 0);
        uint8_t copy[OURO_MAX_PACKET];
        memcpy(copy, probe->bytes, probe->len);
        n->drop[DEVICE] = 1u << OURO_PONG;
        CHECK(net_inject(n, DEVICE, NULL, copy, probe->len) == OURO_OK);
        pong.len = n->last_len[DEVICE];
        memcpy(pong.bytes, n->last[DEVICE], pong.len);
        CHECK_EQUAL(pong.bytes[0] & 15, OURO_PONG);
        net_run_for(n, cases[i].after_ms);
        CHECK(from_port(n, cases[i].port, &pong) == OURO_OK);
        CHECK_EQUAL(known(n), cases[i].moves ? 9 : 1);
        net_free(n);
    }
}

/* A probe runs beside any other PING: the main one is answered as ever. */
static void a_probe_beside_a_ping(void) {
    net *n = connected(7, 50, true);
    CHECK(ouro_link_ping(&n->side[GATEWAY].link) == OURO_OK);
    net_pump(n, GATEWAY);
    made packet;
    packet.len = net_make(n, DEVICE, OURO_PING, 0, zeros, 4, packet.bytes);
    CHECK(from_port(n, 9, &packet) == OURO_OK);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_PING], 2);
    net_run_for(n, 1000);
    CHECK_EQUAL(n->side[GATEWAY].pongs, 1);
    CHECK_EQUAL(ouro_link_rtt(&n->side[GATEWAY].link), 100);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_PING], 2);
    net_free(n);
}

/* The address changes with messages in flight: neither a handshake nor an unknown. */
static void an_address_that_changes(void) {
    static const struct {
        uint64_t one_way;
        bool sampled;
    } cases[] = {{10, true}, {500, true}, {50, false}, {500, false}, {10, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (uint64_t at = 0; at <= 2 * cases[i].one_way; at += 1 + cases[i].one_way / 3) {
            net *n = connected(8 + at, cases[i].one_way, cases[i].sampled);
            (void)net_send(n, DEVICE, true, 20);
            net_run_for(n, at);
            net_move(n, 77);
            CHECK(net_settle(n, 5 * MINUTE));
            (void)net_send(n, GATEWAY, true, 20);
            (void)net_send(n, DEVICE, true, 20);
            CHECK(net_settle(n, 5 * MINUTE));
            CHECK_EQUAL(n->side[DEVICE].established, 1);
            CHECK_EQUAL(n->side[DEVICE].messages[n->side[DEVICE].count - 1].outcome, DELIVERED);
            CHECK_EQUAL(net_count(n, DEVICE, UNKNOWN) + net_count(n, GATEWAY, UNKNOWN), 0);
            CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], 1);
            CHECK_EQUAL(known(n), 77);
            net_free(n);
        }
}

/* A dead path: HELLOs beside the session, DEAD at the give-up time, and nothing is lost. */
static void a_dead_path_comes_back(void) {
    for (uint64_t down = 60000; down <= 40 * MINUTE; down *= 6) {
        net *n = connected(9, 50, true);
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
            net *n = connected(18, one_way, true);
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
    net *n = connected(10, 50, true);
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
        net *n = connected(11, one_way[i], true);
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
    net *n = connected(12, 50, true);
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
    net *n = connected(17, 50, true);
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
    net *n = connected(13, 50, true);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 60);
    made ack;
    ack.len = n->last_len[GATEWAY];
    memcpy(ack.bytes, n->last[GATEWAY], ack.len);
    CHECK_EQUAL(ack.bytes[0] & 15, OURO_ACK);
    n->packet_count = 0; /* it is held back */
    n->path.down = true;
    uint32_t lost = net_send(n, DEVICE, true, 20);
    net_run_for(n, 1500);
    CHECK(net_inject(n, DEVICE, NULL, ack.bytes, ack.len) == OURO_OK);
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
    net *n = connected(14, 50, true);
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
    net *n = connected(15, 50, true);
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
    net *n = connected(16, 50, true);
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

void path_tests(void) {
    RUN(newest_data_moves_the_path);
    RUN(one_answer_for_several);
    RUN(control_from_elsewhere_is_probed);
    RUN(probes_are_one_a_second);
    RUN(held_back_control_starts_nothing);
    RUN(a_probe_is_answered);
    RUN(a_probe_beside_a_ping);
    RUN(an_address_that_changes);
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
}
