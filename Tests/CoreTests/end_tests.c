/* What is told of a session's end, and what goes out around it. */
#include "check.h"
#include "net.h"

#include <string.h>

enum { MINUTE = 60000, DAY = 86400000 };

static net *connected(uint64_t seed, bool small) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    o.small = small;
    return net_connected(&o, 50);
}

static void close_link(net *n, int who, ouro_reason reason) {
    CHECK(ouro_link_close(&n->side[who].link, n->now_ms, reason, false) == OURO_OK);
    net_pump(n, who);
}

static void rekey(net *n, int who) {
    CHECK(ouro_link_rekey(&n->side[who].link, n->now_ms) == OURO_OK);
    net_pump(n, who);
}

/* The one that closes is told so, and the other one that its peer did. */
static void who_closed(void) {
    for (int who = 0; who < 2; who++) {
        net *n = connected(1, false);
        close_link(n, who, OURO_REASON_NORMAL);
        net_run_for(n, 1000);
        CHECK_EQUAL(n->side[who].closed, 1);
        CHECK(!n->side[who].closed_by_peer);
        CHECK_EQUAL(n->side[1 - who].closed, 1);
        CHECK(n->side[1 - who].closed_by_peer);
        net_free(n);
    }
}

/* What it is answered with is the reason that it was closed for. */
static void a_new_session_was_asked_for(void) {
    net *n = connected(11, false);
    rekey(n, GATEWAY);
    net_run_for(n, 1000);
    for (int who = 0; who < 2; who++) {
        CHECK_EQUAL(n->side[who].closed, 1);
        CHECK_EQUAL(n->side[who].closed_by_peer, who == DEVICE);
        CHECK_EQUAL(n->side[who].closed_reason, OURO_REASON_REKEY);
    }
    net_free(n);
}

/* That the peer closed a session says nothing of the next one's end. */
static void the_next_end_is_its_own(void) {
    net *n = connected(2, false);
    close_link(n, GATEWAY, OURO_REASON_SHUTDOWN);
    net_run_for(n, 1000);
    CHECK(n->side[DEVICE].closed_by_peer);
    CHECK_EQUAL(n->side[DEVICE].closed_reason, OURO_REASON_SHUTDOWN);
    net_restart(n, GATEWAY);
    (void)net_send(n, DEVICE, true, 20);
    CHECK(net_settle(n, 20000));
    close_link(n, DEVICE, OURO_REASON_NORMAL);
    net_run_for(n, 1000);
    CHECK_EQUAL(n->side[DEVICE].closed, 2);
    CHECK(!n->side[DEVICE].closed_by_peer);
    CHECK_EQUAL(n->side[DEVICE].closed_reason, OURO_REASON_NORMAL);
    net_free(n);
}

/* Where nobody answers, the reason that is told is the one that was sent. */
static void reasons_without_an_answer(void) {
    for (int idle = 0; idle < 2; idle++) {
        net *n = connected(3, false);
        n->path.down = true;
        if (idle == 0)
            rekey(n, GATEWAY);
        net_run_for(n, idle == 0 ? 2 * MINUTE : 7 * (uint64_t)DAY + MINUTE);
        CHECK_EQUAL(n->side[GATEWAY].closed, 1);
        CHECK(!n->side[GATEWAY].closed_by_peer);
        CHECK_EQUAL(n->side[GATEWAY].closed_reason,
                    idle == 0 ? OURO_REASON_REKEY : OURO_REASON_IDLE);
        net_free(n);
    }
}

/* A server that shuts down is given time, also before its CLOSE is answered. */
static void given_time_before_the_answer(void) {
    net *n = connected(4, false);
    static const uint8_t body[9] = {OURO_REASON_SHUTDOWN};
    uint8_t packet[OURO_MAX_PACKET];
    size_t len = net_make(n, GATEWAY, OURO_CLOSE, 0, body, sizeof body, packet);
    CHECK(ouro_link_receive(&n->side[DEVICE].link, n->now_ms, NULL, packet, len) == OURO_OK);
    n->path.down = true;
    uint32_t hellos = n->side[DEVICE].types[OURO_HELLO];
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 1900);
    CHECK_EQUAL(n->side[DEVICE].closed_reason, OURO_REASON_SHUTDOWN);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], hellos);
    net_run_for(n, 1200);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], hellos + 1);
    net_free(n);
}

/* One that shuts down while it is asked for a new session is given time, and asked for none. */
static void shut_down_while_a_new_session_is_asked_for(void) {
    for (int messages = 0; messages < 2; messages++) {
        net *n = connected(7, true);
        n->drop[DEVICE] = 1u << OURO_CLOSE;
        rekey(n, DEVICE);
        close_link(n, GATEWAY, OURO_REASON_SHUTDOWN);
        if (messages == 1)
            (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 1900);
        CHECK_EQUAL(n->side[DEVICE].closed_reason, OURO_REASON_SHUTDOWN);
        CHECK(net_find(n, DEVICE, OURO_HELLO, 0) == NULL);
        n->path.down = true;
        net_run_for(n, messages == 1 ? 1200 : MINUTE);
        CHECK_EQUAL(net_find(n, DEVICE, OURO_HELLO, 0) != NULL, messages);
        net_free(n);
    }
}

/* CLOSE 2 waits 45 s at most for what is in flight. */
static void asked_for_while_something_is_in_flight(void) {
    net *n = connected(9, false);
    n->side[DEVICE].unsafe = true;
    (void)net_send(n, GATEWAY, true, 20);
    uint64_t start = n->now_ms;
    rekey(n, GATEWAY);
    net_run_until(n, start + 44999);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_CLOSE], 0);
    net_run_until(n, start + 45000);
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_CLOSE], 1);
    net_free(n);
}

static uint32_t lost_session;

static bool lose_its_close(net *n, int from, const uint8_t *packet, size_t len) {
    (void)n;
    return from == DEVICE && (packet[0] & 15) == OURO_CLOSE &&
           ouro_packet_session_id(packet, len) == lost_session;
}

/* The end of an older session is nobody's business, also where there is no newer one any more. */
static void an_older_session_ends_untold(void) {
    net *n = connected(8, false);
    lost_session = n->side[GATEWAY].link.live[0]->id;
    n->filter = lose_its_close;
    rekey(n, DEVICE);
    net_run_for(n, 1000);
    CHECK_EQUAL(n->side[GATEWAY].established, 2);
    close_link(n, DEVICE, OURO_REASON_NORMAL);
    net_run_for(n, 1000);
    CHECK_EQUAL(n->side[GATEWAY].closed, 1);
    CHECK_EQUAL(n->side[GATEWAY].link.live[0]->id, lost_session);
    net_run_for(n, 2 * MINUTE);
    CHECK(n->side[GATEWAY].link.live[0] == NULL);
    CHECK_EQUAL(n->side[GATEWAY].closed, 1);
    net_free(n);
}

/* One window: a gateway that forgot never answers CLOSE 2, and is not asked once there is more. */
static void no_close_2_beside_the_next_session(void) {
    net *n = connected(5, true);
    net_restart(n, GATEWAY);
    rekey(n, DEVICE);
    for (int i = 0; i < 10000 && n->side[DEVICE].established < 2; i++)
        net_run_for(n, 1);
    CHECK_EQUAL(n->side[DEVICE].established, 2);
    CHECK(n->side[DEVICE].link.live[1] == NULL);
    uint32_t closes = n->side[DEVICE].types[OURO_CLOSE];
    net_run_for(n, 2 * MINUTE);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_CLOSE], closes);
    net_free(n);
}

static uint32_t late_session;
static uint64_t late_counter;

static void keep(net *n, int who, const ouro_event *event) {
    (void)n;
    if (who != DEVICE)
        return;
    late_session = event->session_id;
    late_counter = event->counter;
}

/* One window: what is safe only after WELCOME is still acknowledged, as nothing is confirmed yet.
 */
static void acknowledged_before_the_next_is_confirmed(void) {
    net *n = connected(6, true);
    n->message = keep;
    n->side[DEVICE].unsafe = true;
    uint32_t number = net_send(n, GATEWAY, true, 20);
    net_run_for(n, 60);
    uint32_t first = n->side[DEVICE].link.live[0]->id;
    CHECK_EQUAL(late_session, first);
    n->drop[GATEWAY] = 1u << OURO_DATA | 1u << OURO_CLOSE | 1u << OURO_PONG;
    rekey(n, DEVICE);
    for (int i = 0; i < 10000 && n->side[DEVICE].link.live[0]->id == first; i++)
        net_run_for(n, 1);
    CHECK(n->side[DEVICE].link.live[0]->id != first);
    CHECK_EQUAL(n->side[DEVICE].established, 1);
    ouro_link_done(&n->side[DEVICE].link, late_session, late_counter);
    net_pump(n, DEVICE);
    net_run_for(n, 100);
    CHECK_EQUAL(n->side[GATEWAY].messages[number].outcome, DELIVERED);
    net_free(n);
}

static bool lose_session(net *n, int from, const uint8_t *packet, size_t len) {
    (void)n;
    (void)from;
    return ouro_packet_session_id(packet, len) == lost_session;
}

/* An older session ends 10 s after the next one was confirmed, also where that is replaced, too. */
static void replaced_twice(void) {
    net *n = connected(10, false);
    lost_session = n->side[DEVICE].link.live[0]->id;
    n->filter = lose_session;
    uint32_t number = net_send(n, DEVICE, true, 20);
    for (int i = 0; i < 20000 && n->side[DEVICE].established < 2; i++)
        net_run_for(n, 1);
    uint64_t start = n->now_ms;
    net_run_for(n, 5000);
    rekey(n, DEVICE);
    net_run_until(n, start + 9999);
    CHECK_EQUAL(n->side[DEVICE].established, 3);
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, PENDING);
    net_run_until(n, start + 10000);
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, UNKNOWN);
    net_free(n);
}

void end_tests(void) {
    RUN(who_closed);
    RUN(a_new_session_was_asked_for);
    RUN(the_next_end_is_its_own);
    RUN(reasons_without_an_answer);
    RUN(given_time_before_the_answer);
    RUN(shut_down_while_a_new_session_is_asked_for);
    RUN(asked_for_while_something_is_in_flight);
    RUN(an_older_session_ends_untold);
    RUN(no_close_2_beside_the_next_session);
    RUN(replaced_twice);
    RUN(acknowledged_before_the_next_is_confirmed);
}
