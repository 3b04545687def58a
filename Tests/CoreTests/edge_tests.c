/* Rules where they end: the last of a kind, nothing left to wait for, memory that is not there. */
#include "check.h"
#include "net.h"
#include "ouroboros/sleep.h"
#include "ouroboros/stream.h"

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

/* What is not of this session is none of its business, and in a stream what is not the next. */
static void sessions_without_a_link(void) {
    static const uint8_t up[32] = {1}, down[32] = {2};
    ouro_session client, server;
    ouro_slot slots[2 * 16];
    ouro_body body;
    for (int stream = 0; stream < 2; stream++) {
        uint8_t packet[OURO_OVERHEAD + 4] = {0};
        uint64_t counter;
        CHECK(ouro_session_init(&client, OURO_CLIENT, 9, up, down, stream ? NULL : slots, 16) ==
              OURO_OK);
        CHECK(ouro_session_init(&server, OURO_SERVER, 9, up, down, stream ? NULL : slots, 16) ==
              OURO_OK);
        for (int i = 0; i < 2; i++) /* the second one */
            CHECK(ouro_session_protect(&client, OURO_DATA, 0, packet, 4, &counter) == OURO_OK);
        ouro_header header;
        CHECK(ouro_packet_decode(packet, sizeof packet, OURO_MAX_BODY, &header) == OURO_OK);
        header.session_id = 10;
        CHECK(ouro_session_open(&server, &header, packet, &body) == OURO_DROP_SESSION);
        CHECK(ouro_tail_open(&server.tail, &header, packet, &body) == OURO_DROP_SESSION);
        header.session_id = 9;
        CHECK(ouro_session_open(&server, &header, packet, &body) ==
              (stream ? OURO_DROP_REPLAY : OURO_OK));
    }
}

/* A stream that is not read before it has a session waits for nothing. */
static void a_stream_that_is_not_read_yet(void) {
    net_options o = {.seed = 8, .stream = true};
    net *n = net_new(&o);
    ouro_link *link = &n->side[DEVICE].link;
    ouro_stream_set_reading(link, n->now_ms, false);
    CHECK_EQUAL(ouro_link_deadline(link, n->now_ms), OURO_NEVER);
    ouro_link_tick(link, n->now_ms + MINUTE);
    CHECK_EQUAL(ouro_link_deadline(link, n->now_ms + MINUTE), OURO_NEVER);
    net_free(n);
}

/* A PING that goes out anyway takes the acknowledgement along. */
static void an_answer_with_a_ping(void) {
    net *n = connected(9);
    n->side[DEVICE].unsafe = true;
    (void)net_send(n, GATEWAY, true, 20);
    net_run_for(n, 60);
    ouro_link *link = &n->side[DEVICE].link;
    ouro_link_done(link, net_session(n, DEVICE)->tail.id, 0);
    CHECK(ouro_link_ping(link) == OURO_OK);
    net_record(n);
    net_pump(n, DEVICE);
    const net_sent *ping = net_find(n, DEVICE, OURO_PING, 0);
    CHECK(ping != NULL && (ping->bytes[1] & OURO_FLAG_ACKS) != 0);
    CHECK(net_find(n, DEVICE, OURO_ACK, 0) == NULL);
    net_run_for(n, 60);
    CHECK_EQUAL(net_count(n, GATEWAY, DELIVERED), 1);
    net_free(n);
}

/* One window: DATA of the session before is dropped unopened. */
static void an_older_session_without_a_window(void) {
    net_options o = {.seed = 10, .small = true};
    net *n = net_connected(&o, 50);
    uint8_t packet[OURO_MAX_PACKET];
    static const uint8_t body[4] = {0};
    size_t len = net_make(n, GATEWAY, OURO_DATA, OURO_FLAG_ACK_REQ, body, sizeof body, packet);
    n->drop[GATEWAY] = 1u << OURO_CLOSE | 1u << OURO_PONG;
    CHECK(ouro_link_rekey(&n->side[DEVICE].link, n->now_ms) == OURO_OK);
    net_pump(n, DEVICE);
    for (int i = 0; i < 10000 && n->side[DEVICE].link.live[1] == NULL; i++)
        net_run_for(n, 1);
    CHECK(n->side[DEVICE].link.live[1] != NULL);
    CHECK(net_inject(n, DEVICE, NULL, packet, len) == OURO_DROP_CLOSED);
    net_free(n);
}

/* Of an unreliable message is told that it went out, also when it was acknowledged meanwhile. */
static void told_as_it_was_promised(void) {
    net *n = connected(11);
    net_side *s = &n->side[DEVICE];
    ouro_message m = {.data = (const uint8_t *)"m", .len = 1};
    uint8_t scratch[OURO_SCRATCH_SIZE];
    ouro_datagram out;
    uint32_t id, number = s->count++;
    CHECK(ouro_link_send(&s->link, n->now_ms, &m, &id) == OURO_OK);
    s->ids[id] = number;
    CHECK(ouro_link_transmit(&s->link, n->now_ms, scratch, &out) == OURO_OK && out.len > 0);
    CHECK(net_acknowledge(n, GATEWAY, net_counter(out.data), 0) == OURO_OK);
    CHECK_EQUAL(s->messages[number].outcome, SENT);
    net_free(n);
}

/* The highest version that a side speaks is told by HELLO and WELCOME, and read. */
static void tops_are_read(void) {
    static const uint8_t key[32] = {1};
    uint8_t packet[OURO_HELLO_MAX], answer[OURO_WELCOME_SIZE];
    size_t len;
    ouro_hello hello = {.reach = 16, .max_body = 1200, .top = 40}, hello_read;
    ouro_welcome welcome = {.session_id = 1, .reach = 16, .max_body = 1200, .top = 50}, read;
    CHECK(ouro_hello_write(&hello, key, packet, &len) == OURO_OK);
    CHECK(ouro_hello_read(packet, len, &hello_read) == OURO_OK);
    CHECK_EQUAL(hello_read.top, 40);
    CHECK(ouro_welcome_write(&welcome, key, packet, len, answer) == OURO_OK);
    CHECK(ouro_welcome_parse(answer, sizeof answer, &read) == OURO_OK);
    CHECK_EQUAL(read.top, 50);
}

/* A message fits its place and the peer, and so does the ack block that goes along. */
static void sizes_of_small_places(void) {
    for (size_t cap = 96; cap <= 160; cap += 16) {
        net_options o = {.seed = 12, .packet_cap = cap, .places = 4, .max_body = {0, 80}};
        net *n = net_connected(&o, 20);
        size_t most = cap - OURO_OVERHEAD < 80 ? cap - OURO_OVERHEAD : 80;
        CHECK_EQUAL(ouro_pool_memory(4, cap), 4 * (sizeof(ouro_place) + cap));
        CHECK_EQUAL(ouro_link_max_message(&n->side[DEVICE].link, false), most);
        CHECK(net_send(n, DEVICE, true, most + 1) == UINT32_MAX);
        for (size_t len = most - 18; len <= most; len++) {
            n->side[DEVICE].unsafe = true;
            (void)net_send(n, GATEWAY, true, 20);
            net_run_for(n, 21);
            ouro_tail *tail = n->side[DEVICE].link.live[0];
            ouro_link_done(&n->side[DEVICE].link, tail->id,
                           net_session(n, DEVICE)->window.next - 1);
            net_record(n);
            uint32_t number = net_send(n, DEVICE, true, len);
            if (!CHECK(number != UINT32_MAX))
                break;
            const net_sent *data = net_find(n, DEVICE, OURO_DATA, 0);
            CHECK(data != NULL && data->len <= most + OURO_OVERHEAD);
            CHECK(data != NULL && ((data->bytes[1] & OURO_FLAG_ACKS) != 0) == (len + 16 <= most));
            net_run_for(n, 1000);
            CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
        }
        CHECK_EQUAL(net_count(n, GATEWAY, DELIVERED), 19);
        CHECK_EQUAL(n->trouble, 0);
        net_free(n);
    }
}

/* Whatever a call makes ready goes out without being waited for. */
static void what_can_go_out_is_due(void) {
    net *n = connected(13);
    ouro_link *link = &n->side[DEVICE].link;
    n->side[DEVICE].unsafe = true;
    (void)net_send(n, GATEWAY, true, 20);
    net_run_for(n, 60);
    CHECK(ouro_link_deadline(link, n->now_ms) > n->now_ms);
    ouro_link_done(link, net_session(n, DEVICE)->tail.id, 0);
    CHECK_EQUAL(ouro_link_deadline(link, n->now_ms), n->now_ms);
    net_pump(n, DEVICE);
    ouro_link_set_room(link, 0, 8);
    (void)net_send(n, GATEWAY, true, 20);
    net_run_for(n, 60);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_NACK], 1);
    ouro_link_set_room(link, 8, 8);
    CHECK_EQUAL(ouro_link_deadline(link, n->now_ms), n->now_ms);
    net_pump(n, DEVICE);
    CHECK(ouro_link_close(link, n->now_ms, OURO_REASON_NORMAL, false) == OURO_OK);
    CHECK_EQUAL(ouro_link_deadline(link, n->now_ms), n->now_ms);
    net_pump(n, DEVICE);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_CLOSE], 1);
    net_free(n);
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
    RUN(sizes_of_small_places);
    RUN(what_can_go_out_is_due);
    RUN(told_as_it_was_promised);
    RUN(tops_are_read);
    RUN(sessions_without_a_link);
    RUN(a_stream_that_is_not_read_yet);
    RUN(an_answer_with_a_ping);
    RUN(an_older_session_without_a_window);
}
