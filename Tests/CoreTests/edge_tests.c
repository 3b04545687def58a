/* Rules where they end: the last of a kind, nothing left to wait for, memory that is not there. */
#include "check.h"
#include "net.h"
#include "ouroboros/sleep.h"

#include <string.h>

enum { MINUTE = 60000 };

static net *connected(uint64_t seed) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    return net_connected(&o, 50);
}

static unsigned times_sent(const net *n, int from, uint64_t counter) {
    unsigned times = 0;
    for (size_t i = 0; net_find(n, from, OURO_DATA, i) != NULL; i++)
        times += net_counter(net_find(n, from, OURO_DATA, i)->bytes) == counter;
    return times;
}

/* An unreliable message with the last counter that may be used is sent again until it comes. */
static void the_last_counter_is_reliable(void) {
    net *n = connected(1);
    n->side[DEVICE].link.window = 64;
    n->path.down = true;
    uint64_t first = net_session(n, DEVICE)->tail.tx_next;
    for (int i = 0; i < 20; i++)
        (void)net_send(n, DEVICE, i == 3, 20);
    CHECK_EQUAL(net_session(n, DEVICE)->tail.tx_next, first + 16);
    net_run_for(n, 1000);
    CHECK(times_sent(n, DEVICE, first + 3) > 1);
    CHECK_EQUAL(times_sent(n, DEVICE, first + 14), 1);
    CHECK(times_sent(n, DEVICE, first + 15) > 1);
    net_free(n);
}

/* While the peer's queue is full nothing goes out, neither new nor again. */
static void a_full_peer_is_left_alone(void) {
    net *n = connected(2);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 500);
    n->path.down = true;
    for (int i = 0; i < 3; i++)
        (void)net_send(n, DEVICE, true, 20);
    net_record(n);
    CHECK(net_busy(n, GATEWAY) == OURO_OK);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 999);
    CHECK(net_find(n, DEVICE, OURO_DATA, 0) == NULL);
    net_run_for(n, 1);
    CHECK(net_find(n, DEVICE, OURO_DATA, 0) != NULL);
    net_free(n);
}

/* What was said of a full queue is forgotten in sleep: the next wait is a first one again. */
static void a_restored_session_knows_no_busy(void) {
    net *n = connected(3);
    uint8_t saved[OURO_SAVED_SIZE(OURO_MAX_REACH)];
    size_t len;
    ouro_link *link = &n->side[DEVICE].link;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 500);
    CHECK(net_busy(n, GATEWAY) == OURO_OK);
    net_run_for(n, 2000);
    ouro_link_tick(link, n->now_ms);
    CHECK(ouro_link_save(link, n->now_ms, saved, sizeof saved, &len) == OURO_OK);
    CHECK(ouro_link_restore(link, n->now_ms, 0, saved, len) == OURO_OK);
    CHECK(net_busy(n, GATEWAY) == OURO_OK);
    CHECK_EQUAL(link->wait_until_ms, n->now_ms + 1000);
    net_free(n);
}

/* Keys that were prepared ahead are not dropped in silence: no message would open after that. */
static void prepared_keys_need_their_memory(void) {
    net_options o = {.seed = 4, .prepare = true};
    net *n = net_connected(&o, 50);
    net_side *s = &n->side[DEVICE];
    uint8_t saved[OURO_SAVED_SIZE(OURO_MAX_REACH)];
    size_t len;
    CHECK(ouro_link_prepare(&s->link, OURO_MAX_BODY) == OURO_OK);
    CHECK(s->prepared.keyed && s->prepared.ready);
    CHECK(ouro_link_prepare(&s->link, OURO_MAX_BODY + 1) == OURO_ERR_ARGUMENT);
    CHECK(ouro_link_save(&s->link, n->now_ms, saved, sizeof saved, &len) == OURO_OK);
    s->memory.prepared = NULL;
    net_restart(n, DEVICE);
    CHECK(ouro_link_restore(&s->link, n->now_ms, 0, saved, len) == OURO_ERR_DAMAGED);
    net_free(n);
}

/* A link that closes with nothing queued waits 45 s for what is in flight, and is closed then. */
static void closing_waits_for_flight_alone(void) {
    net *n = connected(5);
    n->path.down = true;
    uint32_t number = net_send(n, DEVICE, true, 20);
    uint64_t start = n->now_ms;
    CHECK(ouro_link_close(&n->side[DEVICE].link, start, OURO_REASON_NORMAL, false) == OURO_OK);
    net_pump(n, DEVICE);
    net_run_until(n, start + 44999);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_CLOSE], 0);
    net_run_until(n, start + 45000);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_CLOSE], 1);
    net_run_for(n, MINUTE);
    CHECK(ouro_link_is_closed(&n->side[DEVICE].link));
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, UNKNOWN);
    net_free(n);
}

/* Nor does it wait for ever for a session, when what it was for is too old to be sent. */
static void closing_ends_without_a_session(void) {
    net_options o = {.seed = 6};
    net *n = net_new(&o);
    n->path.down = true;
    ouro_message m = {.data = (const uint8_t *)"m", .len = 1, .reliable = true, .ttl_ms = 5000};
    uint32_t number = net_send_message(n, DEVICE, &m);
    net_run_for(n, 1000);
    CHECK(ouro_link_close(&n->side[DEVICE].link, n->now_ms, OURO_REASON_NORMAL, false) == OURO_OK);
    net_pump(n, DEVICE);
    net_run_for(n, MINUTE);
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, FAILED);
    CHECK(ouro_link_is_closed(&n->side[DEVICE].link));
    CHECK_EQUAL(n->side[DEVICE].closed, 1);
    net_free(n);
}

/* A client may say where a packet came from; it follows no path. */
static void a_client_given_an_address(void) {
    net *n = connected(7);
    uint8_t packet[OURO_MAX_PACKET];
    static const uint8_t body[4] = {1};
    ouro_addr from = net_address(9);
    size_t len = net_make(n, GATEWAY, OURO_PING, 0, body, sizeof body, packet);
    net_record(n);
    CHECK(ouro_link_receive(&n->side[DEVICE].link, n->now_ms, &from, packet, len) == OURO_OK);
    net_pump(n, DEVICE);
    CHECK(net_find(n, DEVICE, OURO_PONG, 0) != NULL);
    net_free(n);
}

/* What is in a header is told of a packet that is too short to be one, too. */
static void a_header_alone(void) {
    static const uint8_t packet[OURO_HEADER_SIZE] = {0x11, 0, 0, 5, 0, 0, 0, 7};
    ouro_header header;
    CHECK_EQUAL(ouro_packet_examine(packet, sizeof packet, OURO_MAX_BODY, &header),
                OURO_FLAW_SHORT);
    CHECK_EQUAL(header.type, OURO_DATA);
    CHECK_EQUAL(header.length, 5);
    CHECK_EQUAL(header.session_id, 7);
    CHECK_EQUAL(ouro_packet_examine(packet, sizeof packet - 1, OURO_MAX_BODY, &header),
                OURO_FLAW_SHORT);
    CHECK_EQUAL(header.type, 0);
}

void edge_tests(void) {
    RUN(the_last_counter_is_reliable);
    RUN(a_full_peer_is_left_alone);
    RUN(a_restored_session_knows_no_busy);
    RUN(prepared_keys_need_their_memory);
    RUN(closing_waits_for_flight_alone);
    RUN(closing_ends_without_a_session);
    RUN(a_client_given_an_address);
    RUN(a_header_alone);
}
