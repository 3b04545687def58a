/* Sleep (section 7): a session is saved and goes on later without a handshake. */
#include "check.h"
#include "net.h"

#include <string.h>

enum { SAVED = 512 + 136 * 64 };

static net *new_net(uint64_t seed, bool evolving, bool prepare) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    o.evolving = evolving;
    o.prepare = prepare;
    o.reach[DEVICE] = 8;
    net *n = net_new(&o);
    net_record(n);
    net_connect(n);
    net_run_for(n, 10000);
    return n;
}

static void talk(net *n, int messages) {
    for (int i = 0; i < messages; i++) {
        (void)net_send(n, DEVICE, true, 20);
        (void)net_send(n, GATEWAY, true, 20);
        net_run_for(n, 500);
    }
    net_run_for(n, 10000);
}

static ouro_status save(net *n, uint8_t out[SAVED], size_t *len) {
    return ouro_link_save(&n->side[DEVICE].link, n->now_ms, out, SAVED, len);
}

static ouro_status restore(net *n, uint64_t slept, uint8_t *saved, size_t len) {
    return ouro_link_restore(&n->side[DEVICE].link, n->now_ms, slept, saved, len);
}

static bool zero(const uint8_t *bytes, size_t len) {
    uint8_t all = 0;
    for (size_t i = 0; i < len; i++)
        all |= bytes[i];
    return all == 0;
}

/* A new process: the memory is gone, and the saved session is what there is. */
static void wake(net *n, uint64_t slept, uint8_t *saved, size_t len) {
    net_run_for(n, slept);
    net_restart(n, DEVICE);
    CHECK(restore(n, slept, saved, len) == OURO_OK);
    CHECK(zero(saved, len));
}

static void a_thousand_sleeps(void) {
    keys_forget();
    net *n = new_net(1, true, true);
    uint8_t saved[SAVED];
    size_t len, most = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t number = net_send(n, DEVICE, true, 20);
        if (i % 3 == 0)
            (void)net_send(n, GATEWAY, true, 20);
        net_run_for(n, 2000);
        CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
        if (i % 5 == 0)
            CHECK(ouro_link_prepare(&n->side[DEVICE].link, 20) == OURO_OK);
        CHECK(save(n, saved, &len) == OURO_OK);
        most = len > most ? len : most;
        wake(n, 60000, saved, len);
    }
    /* Seventeen hours: one handshake in all, nothing sent but messages and acknowledgements. */
    CHECK_EQUAL(n->hellos, 1);
    CHECK_EQUAL(n->durable[GATEWAY].epoch, 1);
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 1000);
    CHECK_EQUAL(net_count(n, GATEWAY, DELIVERED), 334);
    CHECK(n->side[DEVICE].packets < 1500);
    CHECK_EQUAL(keys_repeated, 0);
    CHECK(most <= ouro_saved_size(8));
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

/* The restored side keeps `acked`: it may use counters up to that plus the peer's reach. */
static void keeps_acked_and_estimates(void) {
    net *n = new_net(2, false, false);
    talk(n, 30);
    uint8_t saved[SAVED];
    size_t len;
    ouro_session before = *net_session(n, DEVICE);
    uint32_t rtt = ouro_link_rtt(&n->side[DEVICE].link);
    CHECK_EQUAL(before.tail.acked_next, 30);
    CHECK(rtt >= 90 && rtt <= 110);
    CHECK(save(n, saved, &len) == OURO_OK);
    wake(n, 60000, saved, len);
    const ouro_session *after = net_session(n, DEVICE);
    CHECK_EQUAL(after->tail.id, before.tail.id);
    CHECK_EQUAL(after->tail.acked_next, 30);
    CHECK_EQUAL(after->tail.tx_next, before.tail.tx_next);
    CHECK_EQUAL(after->tail.tx_control_next, before.tail.tx_control_next);
    CHECK_EQUAL(after->tail.rx_control_next, before.tail.rx_control_next);
    CHECK_EQUAL(after->tail.rx_control_seen, before.tail.rx_control_seen);
    CHECK_EQUAL(after->tail.done_next, before.tail.done_next);
    CHECK_EQUAL(after->tail.done_bitmap, before.tail.done_bitmap);
    CHECK_EQUAL(after->tail.peer_reach, before.tail.peer_reach);
    CHECK_EQUAL(after->tail.peer_max_body, before.tail.peer_max_body);
    CHECK_EQUAL(after->window.received, before.window.received);
    CHECK_EQUAL(after->gap_next, before.gap_next);
    CHECK_EQUAL(ouro_link_rtt(&n->side[DEVICE].link), rtt);
    /* A burst is not held at counters 0 to 3. */
    for (int i = 0; i < 10; i++)
        CHECK(net_send(n, DEVICE, true, 20) != UINT32_MAX);
    CHECK(net_settle(n, 3000));
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), 40);
    CHECK_EQUAL(n->hellos, 1);
    net_free(n);
}

/* A packet that the device opened before it slept is known for a duplicate afterwards. */
static void keeps_the_window(void) {
    net *n = new_net(3, false, false);
    talk(n, 5);
    const net_sent *data = net_find(n, GATEWAY, OURO_DATA, 4);
    const net_sent *ack = net_find(n, GATEWAY, OURO_ACK, 2);
    uint8_t saved[SAVED], copy[OURO_MAX_PACKET];
    size_t len;
    CHECK(save(n, saved, &len) == OURO_OK);
    wake(n, 1000, saved, len);
    memcpy(copy, data->bytes, data->len);
    CHECK(net_inject(n, DEVICE, NULL, copy, data->len) == OURO_DROP_DUPLICATE);
    if (ack != NULL) {
        memcpy(copy, ack->bytes, ack->len);
        CHECK(ouro_is_drop(net_inject(n, DEVICE, NULL, copy, ack->len)));
    }
    /* And one that came while it slept is opened when it is sent again. */
    CHECK(net_send(n, GATEWAY, true, 20) != UINT32_MAX);
    CHECK(net_settle(n, 5000));
    CHECK_EQUAL(n->side[GATEWAY].messages[5].handed_on, 1);
    net_free(n);
}

/* Holes whose keys were derived stay open: a late packet is taken after the sleep. */
static void keeps_the_keys_of_holes(void) {
    net *n = new_net(4, false, false);
    talk(n, 3);
    n->drop[GATEWAY] = 1u << OURO_DATA;
    (void)net_send(n, GATEWAY, false, 20);
    uint8_t late[OURO_MAX_PACKET];
    size_t late_len = n->last_len[GATEWAY];
    memcpy(late, n->last[GATEWAY], late_len);
    n->drop[GATEWAY] = 0;
    (void)net_send(n, GATEWAY, true, 20);
    net_run_for(n, 5000);
    uint8_t saved[SAVED];
    size_t len;
    CHECK(save(n, saved, &len) == OURO_OK);
    wake(n, 5000, saved, len);
    CHECK_EQUAL(n->side[GATEWAY].messages[3].handed_on, 0);
    CHECK(net_inject(n, DEVICE, NULL, late, late_len) == OURO_OK);
    CHECK_EQUAL(n->side[GATEWAY].messages[3].handed_on, 1);
    net_free(n);
}

static void keys_prepared_ahead_are_saved(void) {
    keys_forget();
    net *n = new_net(5, false, true);
    talk(n, 2);
    CHECK(ouro_link_prepare(&n->side[DEVICE].link, 20) == OURO_OK);
    CHECK(n->side[DEVICE].prepared.keyed);
    uint8_t secret[64], saved[SAVED];
    size_t len;
    memcpy(secret, n->side[DEVICE].prepared.secret, sizeof secret);
    CHECK(save(n, saved, &len) == OURO_OK);
    CHECK(zero((const uint8_t *)&n->side[DEVICE].prepared, sizeof n->side[DEVICE].prepared));
    wake(n, 60000, saved, len);
    CHECK_BYTES(n->side[DEVICE].prepared.secret, secret, sizeof secret);
    uint32_t number = net_send(n, DEVICE, true, 33);
    CHECK(net_settle(n, 3000));
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
    CHECK_EQUAL(n->hellos, 1);
    CHECK_EQUAL(keys_repeated, 0);
    net_free(n);
}

/* The saved copy is refused and zeroed, whatever is wrong with it. */
static void damaged_copies(void) {
    net *n = new_net(6, false, false);
    talk(n, 12);
    uint8_t saved[SAVED], copy[SAVED];
    size_t len;
    CHECK(save(n, saved, &len) == OURO_OK);
    net_restart(n, DEVICE);
    for (size_t cut = 0; cut < len; cut++) {
        memcpy(copy, saved, len);
        CHECK(restore(n, 0, copy, cut) == OURO_ERR_DAMAGED);
        CHECK(zero(copy, cut));
    }
    for (size_t bit = 0; bit < len * 8; bit += bit % 64 == 63 ? 1 : 7) {
        memcpy(copy, saved, len);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK(restore(n, 0, copy, len) == OURO_ERR_DAMAGED);
        CHECK(zero(copy, len));
    }
    memset(copy, 0x77, sizeof copy);
    CHECK(restore(n, 0, copy, sizeof copy) == OURO_ERR_DAMAGED);
    memcpy(copy, saved, len);
    copy[len] = 0;
    CHECK(restore(n, 0, copy, len + 1) == OURO_ERR_DAMAGED);
    CHECK(n->side[DEVICE].link.live[0] == NULL);
    /* Of another device, of another epoch, of another reach. */
    n->side[DEVICE].client.credential.device_id[7] ^= 1;
    memcpy(copy, saved, len);
    CHECK(restore(n, 0, copy, len) == OURO_ERR_DAMAGED);
    CHECK(zero(copy, len));
    n->side[DEVICE].client.credential.device_id[7] ^= 1;
    n->side[DEVICE].client.credential.epoch++;
    memcpy(copy, saved, len);
    CHECK(restore(n, 0, copy, len) == OURO_ERR_DAMAGED);
    CHECK(zero(copy, len));
    n->side[DEVICE].client.credential.epoch--;
    n->side[DEVICE].settings.reach = 16;
    memcpy(copy, saved, len);
    CHECK(restore(n, 0, copy, len) == OURO_ERR_DAMAGED);
    n->side[DEVICE].settings.reach = 8;
    /* After all that the good one is still good. */
    CHECK(restore(n, 0, saved, len) == OURO_OK);
    CHECK(net_send(n, DEVICE, true, 20) != UINT32_MAX);
    CHECK(net_settle(n, 3000));
    CHECK_EQUAL(n->hellos, 1);
    net_free(n);
}

static void restored_where_it_does_not_fit(void) {
    net *n = new_net(7, false, false);
    talk(n, 2);
    uint8_t saved[SAVED], copy[SAVED];
    size_t len;
    CHECK(save(n, saved, &len) == OURO_OK);
    memcpy(copy, saved, len);
    CHECK(restore(n, 0, copy, len) == OURO_OK);
    /* There is a session already. */
    memcpy(copy, saved, len);
    CHECK(restore(n, 0, copy, len) == OURO_ERR_STATE);
    CHECK(zero(copy, len));
    /* A handshake has begun. */
    net_restart(n, DEVICE);
    n->path.down = true;
    net_connect(n);
    CHECK(restore(n, 0, saved, len) == OURO_ERR_STATE);
    CHECK(zero(saved, len));
    net_free(n);
}

/* Asleep: nothing is sent and nothing taken, until the session is restored. */
static void asleep(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 8;
    o.keep_alive_ms = 25000;
    net *n = net_new(&o);
    net_connect(n);
    net_run_for(n, 10000);
    talk(n, 3);
    const ouro_session *session = net_session(n, DEVICE);
    uint8_t saved[SAVED];
    size_t len;
    CHECK(save(n, saved, &len) == OURO_OK);
    /* The keys are erased from memory. */
    CHECK(zero((const uint8_t *)session, sizeof *session));
    CHECK(zero((const uint8_t *)n->side[DEVICE].slots, 2 * 16 * sizeof(ouro_slot)));
    uint64_t packets = n->side[DEVICE].packets;
    (void)net_send(n, GATEWAY, true, 20);
    net_run_for(n, 200000);
    CHECK_EQUAL(n->side[DEVICE].packets, packets);
    CHECK_EQUAL(n->side[GATEWAY].messages[3].handed_on, 0);
    CHECK(!ouro_link_is_open(&n->side[DEVICE].link));
    CHECK_EQUAL(ouro_link_deadline(&n->side[DEVICE].link, n->now_ms), OURO_NEVER);
    /* A message that the application asks to send waits, or is refused: it makes no handshake. */
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 10000);
    CHECK_EQUAL(n->side[DEVICE].packets, packets);
    net_free(n);
}

static void check_refused(net *n, bool refused) {
    uint8_t saved[SAVED];
    size_t len;
    const ouro_tail *newest = n->side[DEVICE].link.live[0];
    CHECK_EQUAL(ouro_link_is_quiet(&n->side[DEVICE].link), !refused);
    CHECK_EQUAL(save(n, saved, &len) == OURO_ERR_STATE, refused);
    if (refused)
        CHECK(n->side[DEVICE].link.live[0] == newest);
}

static void not_quiet(void) {
    /* In flight, then quiet again. */
    net *n = new_net(9, false, false);
    (void)net_send(n, DEVICE, true, 20);
    check_refused(n, true);
    net_run_for(n, 200);
    check_refused(n, false);
    net_free(n);
    /* Unreliable ones are in flight for one time-out at most. */
    n = new_net(10, false, false);
    (void)net_send(n, DEVICE, false, 20);
    check_refused(n, true);
    net_run_for(n, 5000);
    check_refused(n, false);
    net_free(n);
    /* A PING outstanding. */
    n = new_net(11, false, false);
    CHECK(ouro_link_ping(&n->side[DEVICE].link) == OURO_OK);
    check_refused(n, true);
    net_pump(n, DEVICE);
    check_refused(n, true);
    net_run_for(n, 200);
    check_refused(n, false);
    net_free(n);
    /* Owed: the message was taken, and is not safe yet. */
    n = new_net(12, false, false);
    n->side[DEVICE].unsafe = true;
    (void)net_send(n, GATEWAY, true, 20);
    net_run_for(n, 100);
    check_refused(n, true);
    ouro_link_done(&n->side[DEVICE].link, net_session(n, DEVICE)->tail.id, 0);
    check_refused(n, true);
    net_pump(n, DEVICE);
    check_refused(n, false);
    net_free(n);
    /* A handshake begun, and an older session. */
    n = new_net(13, false, false);
    CHECK(ouro_link_rekey(&n->side[DEVICE].link, n->now_ms) == OURO_OK);
    check_refused(n, true);
    net_pump(n, DEVICE);
    n->drop[DEVICE] = 1u << OURO_CLOSE;
    net_run_for(n, 1000);
    CHECK(n->side[DEVICE].link.live[1] != NULL);
    check_refused(n, true);
    n->drop[DEVICE] = 0;
    net_run_for(n, 70000);
    CHECK(n->side[DEVICE].link.live[1] == NULL);
    check_refused(n, false);
    net_free(n);
    /* Not confirmed by the server; closing; no session at all. */
    n = new_net(14, false, false);
    n->drop[GATEWAY] = 1u << OURO_PONG;
    net_restart(n, DEVICE);
    check_refused(n, true);
    net_connect(n);
    net_run_for(n, 120);
    CHECK(n->side[DEVICE].link.live[0] != NULL);
    check_refused(n, true);
    n->drop[GATEWAY] = 0;
    net_run_for(n, 20000);
    n->path.down = true;
    CHECK(ouro_link_close(&n->side[DEVICE].link, n->now_ms, OURO_REASON_NORMAL, false) == OURO_OK);
    check_refused(n, true);
    net_free(n);
}

static void too_little_room(void) {
    net *n = new_net(15, false, false);
    talk(n, 12);
    uint8_t saved[SAVED];
    size_t len, need;
    net *other = new_net(15, false, false);
    talk(other, 12);
    CHECK(save(other, saved, &need) == OURO_OK);
    for (size_t cap = 0; cap < need; cap += 1 + need / 50)
        CHECK(ouro_link_save(&n->side[DEVICE].link, n->now_ms, saved, cap, &len) ==
              OURO_ERR_TOO_LARGE);
    /* The link is as it was. */
    CHECK(net_send(n, DEVICE, true, 20) != UINT32_MAX);
    CHECK(net_settle(n, 2000));
    net_run_for(n, 2000);
    CHECK(ouro_link_save(&n->side[DEVICE].link, n->now_ms, saved, sizeof saved, &len) == OURO_OK);
    net_free(n);
    net_free(other);
}

/* The age goes on while it sleeps: a session of 24 h is replaced, one whose time is unknown not. */
static void age_counts_sleep(void) {
    for (int known = 0; known < 2; known++) {
        net *n = new_net(16, false, false);
        uint8_t saved[SAVED];
        size_t len;
        net_run_for(n, 5 * 3600000);
        CHECK(save(n, saved, &len) == OURO_OK);
        net_run_for(n, 20 * 3600000);
        CHECK(restore(n, known ? 20 * 3600000 : 0, saved, len) == OURO_OK);
        net_pump(n, DEVICE);
        net_run_for(n, 10000);
        CHECK_EQUAL(n->hellos, known ? 2 : 1);
        net_free(n);
    }
}

void sleep_tests(void) {
    RUN(a_thousand_sleeps);
    RUN(keeps_acked_and_estimates);
    RUN(keeps_the_window);
    RUN(keeps_the_keys_of_holes);
    RUN(keys_prepared_ahead_are_saved);
    RUN(damaged_copies);
    RUN(restored_where_it_does_not_fit);
    RUN(asleep);
    RUN(not_quiet);
    RUN(too_little_room);
    RUN(age_counts_sleep);
}
