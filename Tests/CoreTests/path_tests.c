/* Paths at a server: an address that changes, probes, where answers go (section 5). */
#include "check.h"
#include "net.h"

#include <string.h>

enum { MINUTE = 60000 };

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

/* An answer that goes elsewhere than messages goes by itself. */
static void an_answer_apart_from_a_message(void) {
    net *n = connected(11, 50, true);
    n->message = ignore;
    for (uint8_t i = 0; i < 2; i++) {
        made packet;
        ouro_event e;
        ouro_addr from = net_address((uint8_t)(20 + i));
        ouro_link *link = &n->side[GATEWAY].link;
        packet.len =
            net_make(n, DEVICE, OURO_DATA, i == 0 ? OURO_FLAG_ACK_REQ : 0, zeros, 4, packet.bytes);
        CHECK(ouro_link_receive(link, n->now_ms, &from, packet.bytes, packet.len) == OURO_OK);
        CHECK(ouro_link_next_event(link, &e));
        ouro_link_done(link, e.session_id, e.counter);
    }
    (void)net_send(n, GATEWAY, true, 20);
    const net_sent *data = net_find(n, GATEWAY, OURO_DATA, 0);
    const net_sent *ack = net_find(n, GATEWAY, OURO_ACK, 0);
    CHECK(data != NULL && data->to.bytes[1] == 21 && (data->bytes[1] & OURO_FLAG_ACKS) == 0);
    CHECK(ack != NULL && ack->to.bytes[1] == 20);
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

void path_tests(void) {
    RUN(newest_data_moves_the_path);
    RUN(one_answer_for_several);
    RUN(an_answer_apart_from_a_message);
    RUN(control_from_elsewhere_is_probed);
    RUN(probes_are_one_a_second);
    RUN(held_back_control_starts_nothing);
    RUN(a_probe_is_answered);
    RUN(a_probe_beside_a_ping);
    RUN(an_address_that_changes);
}
