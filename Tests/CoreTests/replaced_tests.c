/* Sessions that are replaced over a dead path: what was in flight arrives, and the old one ends. */
#include "check.h"
#include "net.h"

#include <string.h>

enum { MINUTE = 60000 };

static net *connected(uint64_t seed, bool small) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    o.small = small;
    return net_connected(&o, 50);
}

/* Some messages each way, so that the path is sampled. */
static void talk(net *n, int messages) {
    for (int i = 0; i < messages; i++) {
        (void)net_send(n, DEVICE, true, 20);
        (void)net_send(n, GATEWAY, true, 20);
        net_run_for(n, 500);
    }
}

static uint32_t lost_session;

static bool lose_session(net *n, int from, const uint8_t *packet, size_t len) {
    (void)n;
    (void)from;
    return ouro_packet_session_id(packet, len) == lost_session;
}

/* The path loses what belongs to the session of now, until the next one is confirmed. */
static void replace_over_a_dead_path(net *n) {
    unsigned established = n->side[DEVICE].established;
    lost_session = n->side[DEVICE].link.live[0]->id;
    n->filter = lose_session;
    for (int i = 0; i < 30000 && n->side[DEVICE].established == established; i++)
        net_run_for(n, 1);
    CHECK_EQUAL(n->side[DEVICE].established, established + 1);
    n->filter = NULL;
}

/* 200 outages of 8 to 28 s while both sides have messages in flight: none ends as unknown. */
static void nothing_is_unknown_after_an_outage(void) {
    unsigned unknown = 0, all = 0, replaced = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        net *n = connected(seed, false);
        talk(n, 5);
        n->path.down = true;
        (void)net_send(n, DEVICE, true, 20);
        for (int i = 0; i < 3; i++)
            (void)net_send(n, GATEWAY, true, 20);
        net_run_for(n, 8000 + net_random(n) % 20000);
        n->path.down = false;
        net_run_for(n, 5 * MINUTE);
        replaced += n->side[DEVICE].established > 1;
        for (int who = 0; who < 2; who++) {
            unknown += net_count(n, who, UNKNOWN);
            all += n->side[who].count;
            CHECK_EQUAL(net_count(n, who, DELIVERED), n->side[who].count);
        }
        /* The old session ended on both sides, by CLOSE 2 and its answer. */
        CHECK(n->side[DEVICE].link.live[1] == NULL && n->side[GATEWAY].link.live[1] == NULL);
        CHECK_EQUAL(n->trouble, 0);
        net_free(n);
    }
    CHECK(all >= 200 * 14);
    CHECK(replaced > 50);
    CHECK_EQUAL(unknown, 0);
}

/* The device is elsewhere when the path comes back: what is sent again goes there. */
static void sent_again_to_where_the_device_is(void) {
    net *n = connected(2, false);
    talk(n, 5);
    n->path.down = true;
    (void)net_send(n, DEVICE, true, 20);
    for (int i = 0; i < 3; i++)
        (void)net_send(n, GATEWAY, true, 20);
    net_move(n, 9);
    n->path.down = false;
    replace_over_a_dead_path(n);
    net_run_for(n, MINUTE);
    CHECK_EQUAL(net_count(n, GATEWAY, DELIVERED), 8);
    CHECK_EQUAL(net_count(n, GATEWAY, UNKNOWN), 0);
    net_free(n);
}

/* A server that asked for the new session sends nothing again there: the device answers in time. */
static void not_where_it_sent_close_2(void) {
    net *n = connected(3, false);
    talk(n, 3);
    uint32_t id = n->side[GATEWAY].link.live[0]->id;
    n->drop[GATEWAY] = 1u << OURO_DATA;
    (void)net_send(n, GATEWAY, true, 20);
    n->drop[GATEWAY] = 0;
    net_record(n);
    CHECK(ouro_link_rekey(&n->side[GATEWAY].link, n->now_ms) == OURO_OK);
    net_pump(n, GATEWAY);
    net_run_for(n, MINUTE);
    unsigned again = 0;
    for (size_t i = 0; net_find(n, GATEWAY, OURO_DATA, i) != NULL; i++) {
        const net_sent *data = net_find(n, GATEWAY, OURO_DATA, i);
        again += ouro_packet_session_id(data->bytes, data->len) == id;
    }
    CHECK_EQUAL(again, 1);
    CHECK_EQUAL(net_count(n, GATEWAY, DELIVERED), 4);
    net_free(n);
}

/* The first messages that a server ever sent there are no other: the client opened none before. */
static void the_first_messages_of_a_server(void) {
    for (uint64_t seed = 1; seed <= 50; seed++) {
        net *n = connected(seed, false);
        lost_session = n->side[DEVICE].link.live[0]->id;
        n->filter = lose_session;
        (void)net_send(n, DEVICE, true, 20);
        for (int i = 0; i < 3; i++)
            (void)net_send(n, GATEWAY, true, 20);
        replace_over_a_dead_path(n);
        net_run_for(n, MINUTE);
        CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 1);
        CHECK_EQUAL(net_count(n, GATEWAY, DELIVERED), 3);
        CHECK(n->side[DEVICE].link.live[1] == NULL && n->side[GATEWAY].link.live[1] == NULL);
        net_free(n);
    }
}

/* One window: the old session is a tail, which opens nothing, and ends with the client's flight. */
static void one_window_waits_for_its_own_flight(void) {
    net *n = connected(4, true);
    n->path.down = true;
    (void)net_send(n, DEVICE, true, 20);
    n->path.down = false;
    replace_over_a_dead_path(n);
    net_run_for(n, 2500);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 1);
    CHECK(n->side[DEVICE].link.live[1] == NULL);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_CLOSE], 0);
    net_free(n);
}

static int lost_closes;

static bool lose_closes(net *n, int from, const uint8_t *packet, size_t len) {
    (void)n;
    (void)len;
    return from == GATEWAY && (packet[0] & 15) == OURO_CLOSE && lost_closes-- > 0;
}

/* One window: CLOSE 2 is sent, and its answer is lost, or the gateway forgot: 2.2 s, not a minute.
 */
static void close_2_without_an_answer(void) {
    for (int forgot = 0; forgot < 2; forgot++) {
        net *n = connected(13, true);
        talk(n, 10);
        lost_closes = forgot ? 0 : 1;
        n->filter = lose_closes;
        if (forgot)
            net_restart(n, GATEWAY);
        CHECK(ouro_link_rekey(&n->side[DEVICE].link, n->now_ms) == OURO_OK);
        uint32_t number = net_send(n, DEVICE, true, 20);
        uint64_t start = n->now_ms;
        CHECK(net_settle(n, 3 * MINUTE));
        const net_message *m = &n->side[DEVICE].messages[number];
        CHECK_EQUAL(m->outcome, DELIVERED);
        CHECK(m->ended_ms - start <= 2400);
        CHECK_EQUAL(n->side[DEVICE].established, 2);
        net_run_for(n, MINUTE);
        CHECK(n->side[DEVICE].link.live[1] == NULL);
        CHECK_EQUAL(n->trouble, 0);
        net_free(n);
    }
}

/* An answer that comes before WELCOME ends the old session, and the handshake goes on. */
static void a_late_answer_to_close_2(void) {
    net *n = connected(14, true);
    talk(n, 10);
    n->drop[GATEWAY] = 1u << OURO_CLOSE | 1u << OURO_WELCOME;
    net_record(n);
    CHECK(ouro_link_rekey(&n->side[DEVICE].link, n->now_ms) == OURO_OK);
    net_pump(n, DEVICE);
    for (int i = 0; i < 3000 && net_find(n, DEVICE, OURO_HELLO, 0) == NULL; i++)
        net_run_for(n, 1);
    const net_sent *hello = net_find(n, DEVICE, OURO_HELLO, 0);
    CHECK(hello != NULL && n->side[DEVICE].link.live[0] != NULL);
    uint8_t answer[OURO_MAX_PACKET];
    const net_sent *close = net_find(n, GATEWAY, OURO_CLOSE, 0);
    memcpy(answer, close->bytes, close->len);
    CHECK(net_inject(n, DEVICE, NULL, answer, close->len) == OURO_OK);
    CHECK(n->side[DEVICE].link.live[0] == NULL);
    n->drop[GATEWAY] = 0;
    net_run_for(n, 5000);
    CHECK_EQUAL(n->side[DEVICE].established, 2);
    /* With the HELLO that it had sent. */
    CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], 2);
    net_free(n);
}

/* While it waits it opens and acknowledges; a packet of the old session cancels the handshake. */
static void close_2_of_a_busy_server(void) {
    net *n = connected(15, true);
    talk(n, 10);
    n->drop[GATEWAY] = 1u << OURO_CLOSE;
    n->drop[DEVICE] = 1u << OURO_HELLO;
    CHECK(ouro_link_rekey(&n->side[DEVICE].link, n->now_ms) == OURO_OK);
    net_pump(n, DEVICE);
    for (int i = 0; i < 40; i++) {
        net_run_for(n, 500);
        (void)net_send(n, GATEWAY, true, 20);
    }
    CHECK_EQUAL(net_count(n, GATEWAY, UNKNOWN), 0);
    n->drop[GATEWAY] = n->drop[DEVICE] = 0;
    CHECK(net_settle(n, MINUTE));
    CHECK_EQUAL(net_count(n, GATEWAY, DELIVERED), n->side[GATEWAY].count);
    net_free(n);
}

void replaced_tests(void) {
    RUN(nothing_is_unknown_after_an_outage);
    RUN(sent_again_to_where_the_device_is);
    RUN(not_where_it_sent_close_2);
    RUN(the_first_messages_of_a_server);
    RUN(one_window_waits_for_its_own_flight);
    RUN(close_2_without_an_answer);
    RUN(a_late_answer_to_close_2);
    RUN(close_2_of_a_busy_server);
}
