/*
 * Packets that are authentic, and senseless: their counter is spent and shows in later ack blocks,
 * they are heard, and nothing else follows from them (section 2).
 */
#include "check.h"
#include "net.h"

#include <string.h>

typedef struct made {
    uint8_t bytes[OURO_MAX_PACKET];
    size_t len;
} made;

static void nothing(net *n, int who, const ouro_event *event) {
    (void)n;
    (void)who;
    (void)event;
}

/* Messages went both ways; the network itself carries nothing from here on. */
static net *lively(uint64_t seed) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    net *n = net_connected(&o, 50);
    for (int i = 0; i < 10; i++) {
        (void)net_send(n, DEVICE, true, 20);
        (void)net_send(n, GATEWAY, true, 20);
        net_run_for(n, 300);
    }
    n->path.down = true;
    n->message = nothing;
    return n;
}

/* To the gateway, from an address that the device never had. */
static ouro_status give(net *n, const made *packet) {
    uint8_t copy[OURO_MAX_PACKET];
    ouro_addr from = net_address(200);
    memcpy(copy, packet->bytes, packet->len);
    return net_inject(n, GATEWAY, &from, copy, packet->len);
}

static void senseless_data(void) {
    static const struct {
        uint8_t flags, len, body[40];
    } bodies[] = {
        {OURO_FLAG_ACK_REQ | OURO_FLAG_ACKS, 20, {[6] = 1}}, /* an ack block of the future */
        {OURO_FLAG_ACK_REQ | OURO_FLAG_ONCE, 12, {0, 0, 0, 0, 0, 0, 0, 1, 'x'}}, /* box 0 */
        {OURO_FLAG_ACK_REQ | OURO_FLAG_BATCH, 5, {0, 4, 'a', 'b', 'c'}},
        {OURO_FLAG_ACK_REQ | OURO_FLAG_BATCH, 5, {0, 2, 'a', 'b', 0}},
        {OURO_FLAG_ACK_REQ | OURO_FLAG_BATCH, 3, {0}},
        {OURO_FLAG_ACK_REQ | OURO_FLAG_ACKS, 20, {[7] = 3, [15] = 0xff}}, /* below counter 0 */
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        net *n = lively(10);
        net_record(n);
        made packet, next;
        packet.len = net_make(n, DEVICE, OURO_DATA, bodies[i].flags, bodies[i].body, bodies[i].len,
                              packet.bytes);
        ouro_session *session = net_session(n, GATEWAY);
        uint64_t counter = net_session(n, DEVICE)->tail.tx_next - 1u;
        uint32_t acks = n->side[GATEWAY].types[OURO_ACK];
        ouro_addr known = session->path->known;
        ouro_status status = give(n, &packet);
        CHECK_EQUAL(-status, -OURO_DROP_NONSENSE);
        CHECK_EQUAL(session->window.next, counter + 1);
        CHECK_EQUAL(n->side[GATEWAY].link.heard_ms, n->now_ms);
        CHECK(!n->side[GATEWAY].link.inbox_full);
        CHECK_EQUAL(session->path->known.bytes[1], known.bytes[1]);
        net_pump(n, GATEWAY);
        /* Owed nothing, its duplicate neither. */
        CHECK(ouro_is_drop(give(n, &packet)));
        net_run_for(n, 200);
        CHECK_EQUAL(n->side[GATEWAY].types[OURO_ACK], acks);
        /* It shows in the next ack block. */
        next.len = net_make(n, DEVICE, OURO_DATA, OURO_FLAG_ACK_REQ, bodies[1].body, 4, next.bytes);
        CHECK(give(n, &next) == OURO_OK);
        net_pump(n, GATEWAY);
        ouro_ack_block block = {0, 0};
        CHECK(ouro_tail_ack_block(&session->tail, &block));
        CHECK_EQUAL(block.highest, counter + 1);
        CHECK_EQUAL(block.bitmap & 1, 1);
        net_free(n);
    }
}

static void senseless_control(void) {
    static const struct {
        uint8_t type, flags, len, body[30];
    } bodies[] = {
        {OURO_ACK, OURO_FLAG_ACKS, 16, {[6] = 1}},
        {OURO_NACK, OURO_FLAG_ACKS, 17, {[6] = 1, [16] = OURO_NACK_BUSY}},
        {OURO_PING, OURO_FLAG_ACKS, 20, {[6] = 1}},
        {OURO_CLOSE, OURO_FLAG_ACKS, 25, {[6] = 1}},
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        net *n = lively(11);
        made packet;
        packet.len = net_make(n, DEVICE, bodies[i].type, bodies[i].flags, bodies[i].body,
                              bodies[i].len, packet.bytes);
        ouro_session *session = net_session(n, GATEWAY);
        uint64_t next = session->tail.rx_control_next, packets = n->side[GATEWAY].packets;
        uint64_t acked = session->tail.acked_next;
        CHECK(give(n, &packet) == OURO_DROP_NONSENSE);
        CHECK(session->tail.rx_control_next > next);
        CHECK_EQUAL(n->side[GATEWAY].link.heard_ms, n->now_ms);
        net_pump(n, GATEWAY);
        CHECK_EQUAL(n->side[GATEWAY].packets, packets);
        CHECK_EQUAL(session->tail.acked_next, acked);
        CHECK_EQUAL(n->side[GATEWAY].link.wait_until_ms, 0);
        CHECK(!session->path->probe_due && !session->path->probing);
        CHECK(n->side[GATEWAY].link.live[0] == &session->tail);
        CHECK(ouro_is_drop(give(n, &packet)));
        net_free(n);
    }
}

/* A first packet that does not parse confirms all the same. */
static void senseless_first(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 12;
    net *n = net_new(&o);
    n->drop[DEVICE] = 1u << OURO_PING;
    net_connect(n);
    net_run_for(n, 120);
    static const uint8_t body[12] = {0};
    made packet;
    packet.len =
        net_make(n, DEVICE, OURO_DATA, OURO_FLAG_ACK_REQ | OURO_FLAG_ONCE, body, 12, packet.bytes);
    (void)net_inject(n, GATEWAY, &n->side[DEVICE].addr, packet.bytes, packet.len);
    CHECK_EQUAL(n->side[GATEWAY].established, 1);
    CHECK_EQUAL(n->server.pending_used, 0);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_ACK], 0);
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

void senseless_tests(void) {
    RUN(senseless_data);
    RUN(senseless_control);
    RUN(senseless_first);
}
