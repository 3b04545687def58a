/* What was used is gone: keys from memory and from the stack, packets from places. */
#include "check.h"
#include "ouroboros/fleet.h"
#include "secrets.h"

#include <string.h>

enum { MINUTE = 60000, PLACES = 6 };

static net_options options_of(uint64_t seed) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    o.places = PLACES;
    o.reach[DEVICE] = o.reach[GATEWAY] = 4;
    o.evolving = seed % 2 == 1;
    o.small = seed % 4 >= 2;
    o.prepare = seed % 4 != 0;
    o.stream = seed == 6;
    return o;
}

static void talk(net *n, int messages) {
    for (int i = 0; i < messages; i++) {
        (void)net_send(n, DEVICE, i % 3 != 0, 20);
        if (n->side[GATEWAY].alive)
            (void)net_send(n, GATEWAY, i % 3 != 0, 300);
        CHECK(ouro_link_prepare(&n->side[DEVICE].link, 20) == OURO_OK);
        net_run_for(n, 150);
    }
}

static void rekey(net *n) {
    if (n->side[DEVICE].settings.stream)
        return;
    CHECK(ouro_link_rekey(&n->side[DEVICE].link, n->now_ms) == OURO_OK);
    net_pump(n, DEVICE);
    net_run_for(n, 500);
}

static void sleep_and_wake(net *n) {
    uint8_t saved[OURO_SAVED_SIZE(OURO_MAX_REACH)];
    size_t len = 0;
    ouro_link *link = &n->side[DEVICE].link;
    for (int i = 0; i < 100 && !ouro_link_is_quiet(link); i++)
        net_run_for(n, 1000);
    if (n->side[DEVICE].settings.stream || !CHECK(ouro_link_is_quiet(link)))
        return;
    CHECK(ouro_link_save(link, n->now_ms, saved, sizeof saved, &len) == OURO_OK);
    CHECK(ouro_link_restore(link, n->now_ms, 1, saved, len) == OURO_OK);
    CHECK_EQUAL(secrets_in(saved, sizeof saved), 0);
    net_pump(n, DEVICE);
}

/* A whole life, with what ends sessions in it; nothing that went is found after any call. */
static void nothing_stays_behind(void) {
    for (uint64_t seed = 1; seed <= 6; seed++) {
        net_options o = options_of(seed);
        net *n = net_new(&o);
        n->path.delay_ms = 20;
        n->path.loss = o.stream ? 0 : 0.1;
        secrets_watch(n);
        net_connect(n);
        net_run_for(n, 15000);
        talk(n, 8);
        rekey(n);
        talk(n, 4);
        net_run_for(n, 2 * MINUTE);
        n->path.loss = 0;
        sleep_and_wake(n);
        talk(n, 4);
        net_run_for(n, 2 * MINUTE);
        CHECK(secrets.seen > 100 && secrets.calls > 100);
        CHECK_EQUAL(secrets.on_stack, 0);
        CHECK_EQUAL(secrets.in_memory, 0);
        CHECK_EQUAL(secrets.in_places, 0);
        CHECK_EQUAL(n->trouble, 0);
        for (int who = 0; who < 2; who++) {
            CHECK_EQUAL(net_count(n, who, PENDING), 0);
            CHECK_EQUAL(net_count(n, who, FAILED), 0);
        }
        /* The end of all: not even what was in use. */
        talk(n, 1);
        for (int who = 0; who < 2; who++) {
            net_side *s = &n->side[who];
            ouro_link_erase(&s->link);
            s->alive = false;
            CHECK_EQUAL(secrets_in(&s->link, sizeof s->link), 0);
            CHECK_EQUAL(secrets_in(s->sessions, sizeof s->sessions), 0);
            CHECK_EQUAL(secrets_in(s->slots, sizeof s->slots), 0);
            CHECK_EQUAL(secrets_in(s->tails, sizeof s->tails), 0);
            CHECK_EQUAL(secrets_in(&s->client, sizeof s->client), 0);
            CHECK_EQUAL(secrets_in(&s->prepared, sizeof s->prepared), 0);
            CHECK_EQUAL(s->pool.used, 0);
        }
        ouro_server_forget(&n->server, &n->device);
        CHECK_EQUAL(secrets_in(&n->device, sizeof n->device), 0);
        CHECK_EQUAL(secrets_in(n->pending, sizeof n->pending), 0);
        ouro_server_erase(&n->server);
        CHECK_EQUAL(secrets_in(&n->server, sizeof n->server), 0);
        secrets_forget();
        net_free(n);
    }
}

/* Sessions whose keys were derived and that nobody confirmed: dropped, too old, or with the server.
 */
static void pending_sessions_go(void) {
    for (int way = 0; way < 3; way++) {
        net_options o = options_of(1);
        net *n = net_new(&o);
        secrets_watch(n);
        n->drop[DEVICE] = ~(1u << OURO_HELLO);
        net_connect(n);
        net_run_for(n, 200);
        ouro_pending *p = n->device.pending;
        ouro_header header = {OURO_PING, 0, 0, p->id, 0};
        uint8_t packet[OURO_OVERHEAD] = {0};
        ouro_opened opened;
        ouro_packet_encode(&header, packet);
        CHECK(ouro_server_open(&n->server, n->now_ms, p, packet, sizeof packet, &opened) ==
              OURO_DROP_AUTH);
        CHECK(p->derived);
        CHECK(secrets_in(n->pending, sizeof n->pending) > 5);
        if (way == 0)
            ouro_server_drop_pending(&n->server, &n->device, UINT64_MAX);
        else if (way == 1)
            (void)ouro_server_tick(&n->server, n->now_ms + MINUTE);
        else
            ouro_server_erase(&n->server);
        CHECK_EQUAL(secrets_in(n->pending, sizeof n->pending), 0);
        CHECK_EQUAL(secrets.on_stack, 0);
        secrets_forget();
        n->device.pending = NULL;
        net_free(n);
    }
}

/* A small client gives its window away before the new session is made, whether or not that works.
 */
static void a_window_that_is_given_away(void) {
    for (uint64_t at = 0; at < 30; at++) {
        net_options o = options_of(2);
        net *n = net_connected(&o, 20);
        secrets_watch(n);
        n->faulty = true;
        CHECK(ouro_link_prepare(&n->side[DEVICE].link, 20) == OURO_OK);
        (void)net_send(n, GATEWAY, true, 20);
        net_run_for(n, 500);
        /* The old session lives on for a message that nothing acknowledges. */
        n->drop[GATEWAY] = ~(1u << OURO_WELCOME);
        (void)net_send(n, DEVICE, true, 20);
        CHECK(ouro_link_prepare(&n->side[DEVICE].link, 20) == OURO_OK);
        uint8_t close[9] = {OURO_REASON_REKEY}, packet[OURO_MAX_PACKET];
        size_t len = net_make(n, GATEWAY, OURO_CLOSE, 0, close, sizeof close, packet);
        CHECK(net_inject(n, DEVICE, NULL, packet, len) == OURO_OK);
        fault_calls = 0;
        fault_at = at;
        net_run_for(n, 1000);
        fault_at = OURO_NEVER;
        CHECK_EQUAL(secrets.in_memory, 0);
        CHECK_EQUAL(secrets.on_stack, 0);
        secrets_forget();
        net_free(n);
    }
}

/* Keys ahead are gone after their minute, after a move, and with the server. */
static void keys_ahead_go(void) {
    for (int way = 0; way < 3; way++) {
        enum { AHEAD = 3 };
        net_options o = options_of(1);
        net *n = net_new(&o);
        secrets_watch(n);
        uint8_t hello[OURO_HELLO_MAX], welcome[OURO_WELCOME_SIZE], auth[32];
        static const uint8_t nonce[OURO_NONCE_SIZE] = {1};
        ouro_hello fields = {.epoch = AHEAD, .evolving = true, .reach = 8, .max_body = 200};
        bool moved;
        size_t len;
        memset(auth, 0x5a, sizeof auth);
        memcpy(fields.device_id, n->device.credential.device_id, sizeof fields.device_id);
        /* Its tag is wrong: the keys are derived, and the credential stays. */
        CHECK(ouro_hello_write(&fields, auth, hello, &len) == OURO_OK);
        CHECK(ouro_server_hello(&n->server, n->now_ms, &n->device, NULL, hello, len, 1, nonce,
                                welcome, &moved) == OURO_DROP_AUTH);
        CHECK(secrets_in(n->ahead, OURO_AHEAD_DEVICES * sizeof *n->ahead) > OURO_EPOCHS_AHEAD - 2);
        if (way == 0)
            (void)ouro_server_tick(&n->server, n->now_ms + MINUTE);
        else if (way == 1)
            ouro_server_forget(&n->server, &n->device);
        else
            ouro_server_erase(&n->server);
        CHECK_EQUAL(secrets_in(n->ahead, OURO_AHEAD_DEVICES * sizeof *n->ahead), 0);
        CHECK_EQUAL(secrets.on_stack, 0);
        secrets_forget();
        net_free(n);
    }
}

/* A fleet's second secret goes when it is taken back, and with what held it. */
static void second_secrets_go(void) {
    static const uint8_t second[32] = {7, 8, 9}, zero[32] = {0};
    for (int taken_back = 0; taken_back < 2; taken_back++) {
        net_options o = options_of(1);
        net *n = net_new(&o);
        ouro_forward_window window;
        ouro_forward_window_init(&window, second, 1, 2);
        ouro_forward_window_set_second(&window, second);
        ouro_server_set_second_challenge_key(&n->server, second);
        CHECK_BYTES(n->server.second_challenge_key, second, 32);
        CHECK_BYTES(window.second, second, 32);
        if (taken_back == 1) {
            ouro_server_set_second_challenge_key(&n->server, NULL);
            ouro_forward_window_set_second(&window, NULL);
        } else {
            ouro_server_erase(&n->server);
            ouro_forward_window_erase(&window);
            CHECK_BYTES(window.secret, zero, 32);
        }
        CHECK_BYTES(n->server.second_challenge_key, zero, 32);
        CHECK_BYTES(window.second, zero, 32);
        net_free(n);
    }
}

/* Section 4: what a session begins with is gone from the side that receives at once. */
static void direction_keys_go(void) {
    static const uint8_t up[32] = {1, 2, 3}, down[32] = {4, 5, 6};
    ouro_session session;
    ouro_slot slots[2 * 4];
    secrets_watch(NULL);
    CHECK(ouro_session_init(&session, OURO_CLIENT, 1, up, down, slots, 4) == OURO_OK);
    CHECK_EQUAL(session.window.keyed, 1);
    CHECK(memcmp(session.window.chain_enc, down, 32) != 0);
    CHECK(memcmp(session.window.chain_scr, down, 32) != 0);
    ouro_session_erase(&session);
    CHECK_EQUAL(secrets_in(&session, sizeof session), 0);
    CHECK_EQUAL(secrets_in(slots, sizeof slots), 0);
    secrets_forget();
}

void erase_tests(void) {
    RUN(nothing_stays_behind);
    RUN(pending_sessions_go);
    RUN(a_window_that_is_given_away);
    RUN(keys_ahead_go);
    RUN(second_secrets_go);
    RUN(direction_keys_go);
}
