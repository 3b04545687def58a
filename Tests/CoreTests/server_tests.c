/* A server's pending sessions, challenges and budgets, against the server's functions alone. */
#include "check.h"
#include "net.h"

#include <string.h>

enum { PENDINGS = 24, DEVICES = 20 };

static const ouro_server_settings settings = {.reach = 16, .max_body = 1200};

static struct {
    ouro_server server;
    ouro_pending pending[PENDINGS];
    ouro_ahead ahead[OURO_AHEAD_DEVICES];
    ouro_device device[DEVICES];
    uint64_t now;
    uint8_t nonces;
    uint32_t next_id;
    /* the last HELLO and its answer */
    uint8_t hello[OURO_HELLO_MAX], welcome[OURO_WELCOME_SIZE];
    size_t hello_len;
    bool moved;
} t;

static void begin(size_t pendings, bool evolving) {
    static const uint8_t key[32] = {77};
    memset(&t, 0, sizeof t);
    t.now = 100000;
    t.next_id = 1;
    CHECK(ouro_server_init(&t.server, &settings, t.pending, pendings, t.ahead, OURO_AHEAD_DEVICES,
                           key, t.now) == OURO_OK);
    for (size_t i = 0; i < DEVICES; i++) {
        ouro_credential c;
        memset(&c, 0, sizeof c);
        c.device_id[0] = (uint8_t)(i + 1);
        c.key[0] = (uint8_t)(i + 1);
        c.evolving = evolving;
        ouro_device_init(&t.device[i], &c);
    }
}

/* K_auth as the device would have it, `ahead` epochs past the one that the server is at. */
static void auth_key(const ouro_device *device, uint64_t ahead, uint8_t auth[32]) {
    uint8_t key[32];
    memcpy(key, device->credential.key, sizeof key);
    CHECK(ouro_epoch_advance(key, device->credential.epoch, ahead) == OURO_OK);
    CHECK(ouro_auth_key(key, device->credential.epoch + ahead, auth) == OURO_OK);
}

static ouro_status give(ouro_device *device) {
    uint8_t nonce[16] = {9};
    nonce[1] = ++t.nonces;
    return ouro_server_hello(&t.server, t.now, device, NULL, t.hello, t.hello_len, t.next_id++,
                             nonce, t.welcome, &t.moved);
}

/* A HELLO of device `d`, its nonce made of `nonce`, with the challenge of `t.welcome` or without.
 */
static void write_hello(size_t d, uint8_t nonce, uint64_t ahead, bool challenge) {
    uint8_t auth[32];
    ouro_hello hello;
    memset(&hello, 0, sizeof hello);
    memcpy(hello.device_id, t.device[d].credential.device_id, 8);
    memset(hello.nonce, nonce, sizeof hello.nonce);
    hello.epoch = t.device[d].credential.epoch + ahead;
    hello.evolving = t.device[d].credential.evolving || hello.epoch != 0;
    hello.reach = 8;
    hello.max_body = 200;
    hello.has_challenge = challenge;
    memcpy(hello.challenge, t.welcome + 16, sizeof hello.challenge);
    auth_key(&t.device[d], ahead, auth);
    CHECK(ouro_hello_write(&hello, auth, t.hello, &t.hello_len) == OURO_OK);
}

static ouro_status hello(size_t d, uint8_t nonce) {
    write_hello(d, nonce, 0, false);
    return give(&t.device[d]);
}

/* The HELLO of before again, with the challenge that answered it. */
static ouro_status answer_challenge(size_t d, uint8_t nonce) {
    write_hello(d, nonce, 0, true);
    return give(&t.device[d]);
}

static uint32_t welcome_id(void) {
    return ouro_packet_session_id(t.welcome, sizeof t.welcome);
}

static bool challenged(void) {
    return welcome_id() == 0;
}

static unsigned count(const ouro_device *device, bool fresh) {
    unsigned n = 0;
    for (const ouro_pending *p = device->pending; p != NULL; p = p->next)
        n += p->fresh == fresh;
    return n;
}

static void four_pending_then_a_challenge(void) {
    begin(PENDINGS, false);
    for (uint8_t i = 1; i <= 4; i++) {
        CHECK(hello(0, i) == OURO_OK);
        CHECK(!challenged());
    }
    /* reach 0 and max_body 0 say it too; nothing is stored, not even for many. */
    for (uint8_t i = 5; i < 40; i++) {
        CHECK(hello(0, i) == OURO_OK);
        CHECK(challenged());
        CHECK_EQUAL(t.welcome[32], 0);
        CHECK_EQUAL(t.welcome[34] | t.welcome[35], 0);
    }
    CHECK_EQUAL(count(&t.device[0], false), 4);
    CHECK_EQUAL(t.server.pending_used, 4);
    /* Another device is not touched by that. */
    CHECK(hello(1, 1) == OURO_OK);
    CHECK(!challenged());
}

static void fresh_ones_are_counted_apart(void) {
    begin(PENDINGS, false);
    for (uint8_t i = 1; i <= 4; i++)
        CHECK(hello(0, i) == OURO_OK);
    uint32_t ids[6];
    for (uint8_t i = 0; i < 6; i++) {
        t.now++;
        CHECK(hello(0, (uint8_t)(50 + i)) == OURO_OK);
        CHECK(challenged());
        CHECK(answer_challenge(0, (uint8_t)(50 + i)) == OURO_OK);
        CHECK(!challenged());
        ids[i] = welcome_id();
    }
    CHECK_EQUAL(count(&t.device[0], true), 4);
    CHECK_EQUAL(count(&t.device[0], false), 4);
    /* The oldest fresh ones went, none of the others. */
    CHECK(ouro_server_pending(&t.server, ids[0]) == NULL);
    CHECK(ouro_server_pending(&t.server, ids[1]) == NULL);
    for (size_t i = 2; i < 6; i++)
        CHECK(ouro_server_pending(&t.server, ids[i]) != NULL);
    for (uint32_t id = 1; id <= 4; id++)
        CHECK(ouro_server_pending(&t.server, id) != NULL);
}

/* This slice's and the last one's: the clock starts 40 s into one, or at the start of one of 10 s.
 */
static void a_challenge_holds_for_two_slices(void) {
    static const ouro_server_settings short_slices = {
        .reach = 16, .max_body = 1200, .challenge_slice_ms = 10000};
    static const struct {
        bool is_short, holds;
        uint64_t later;
    } cases[] = {{false, true, 20000},    {false, true, 79999}, {false, false, 80000},
                 {false, false, 3600000}, {true, true, 9999},   {true, true, 19999},
                 {true, false, 20000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(PENDINGS, false);
        if (cases[i].is_short)
            t.server.settings = &short_slices;
        for (uint8_t k = 1; k <= 4; k++)
            CHECK(hello(0, k) == OURO_OK);
        CHECK(hello(0, 9) == OURO_OK && challenged());
        /* Fresh slots come from time alone here: keep the four pending ones from expiring. */
        t.now += cases[i].later;
        for (ouro_pending *p = t.device[0].pending; p != NULL; p = p->next)
            p->created_ms = t.now;
        CHECK(answer_challenge(0, 9) == OURO_OK);
        CHECK_EQUAL(challenged(), !cases[i].holds);
    }
}

static void a_challenge_that_does_not_hold_counts_as_none(void) {
    begin(PENDINGS, false);
    /* With room it is a HELLO like another, and not a fresh one. */
    memset(t.welcome, 0x5a, sizeof t.welcome);
    CHECK(answer_challenge(0, 1) == OURO_OK);
    CHECK(!challenged());
    CHECK_EQUAL(count(&t.device[0], false), 1);
    for (uint8_t k = 2; k <= 4; k++)
        CHECK(hello(0, k) == OURO_OK);
    memset(t.welcome, 0x5a, sizeof t.welcome);
    CHECK(answer_challenge(0, 5) == OURO_OK);
    CHECK(challenged());
    /* Of another nonce_c, and of another device. */
    CHECK(answer_challenge(0, 6) == OURO_OK);
    CHECK(challenged());
    for (uint8_t k = 1; k <= 4; k++)
        CHECK(hello(1, k) == OURO_OK);
    CHECK(hello(0, 7) == OURO_OK);
    CHECK(challenged());
    CHECK(answer_challenge(1, 7) == OURO_OK);
    CHECK(challenged());
    CHECK_EQUAL(count(&t.device[0], true) + count(&t.device[1], true), 0);
}

static void a_full_table_challenges_everybody(void) {
    begin(8, false);
    for (size_t d = 0; d < 2; d++)
        for (uint8_t i = 1; i <= 4; i++) {
            t.now++;
            CHECK(hello(d, i) == OURO_OK);
        }
    CHECK(hello(2, 1) == OURO_OK);
    CHECK(challenged());
    CHECK_EQUAL(count(&t.device[2], false), 0);
    /* Who answers it gets the place of the oldest that did not. */
    CHECK(answer_challenge(2, 1) == OURO_OK);
    CHECK(!challenged());
    CHECK_EQUAL(count(&t.device[2], true), 1);
    CHECK(ouro_server_pending(&t.server, 1) == NULL);
    CHECK_EQUAL(t.server.pending_used, 8);
}

static void pending_sessions_end_after_a_minute(void) {
    begin(PENDINGS, false);
    CHECK(hello(0, 1) == OURO_OK);
    uint32_t id = welcome_id();
    uint8_t first[OURO_WELCOME_SIZE];
    memcpy(first, t.welcome, sizeof first);
    t.now += 59999;
    CHECK_EQUAL(ouro_server_tick(&t.server, t.now), t.now + 1);
    CHECK(ouro_server_pending(&t.server, id) != NULL);
    CHECK(hello(0, 1) == OURO_OK);
    CHECK_BYTES(t.welcome, first, sizeof first);
    t.now++;
    CHECK_EQUAL(ouro_server_tick(&t.server, t.now), OURO_NEVER);
    CHECK(ouro_server_pending(&t.server, id) == NULL);
    CHECK_EQUAL(t.server.pending_used, 0);
    /* The same HELLO now makes a new session: nobody holds the old one. */
    CHECK(hello(0, 1) == OURO_OK);
    CHECK(welcome_id() != id);
}

/* A packet of a pending session that the device's side makes. */
static size_t first_packet(uint64_t counter, uint8_t type, uint8_t packet[128]) {
    static ouro_slot slots[32];
    ouro_session session;
    uint64_t used = 0;
    CHECK(ouro_handshake_session(&session, OURO_CLIENT, &t.device[0].credential, t.hello,
                                 t.hello_len, t.welcome, slots, 16) == OURO_OK);
    do {
        memset(packet + 16, 0, 4);
        CHECK(ouro_session_protect(&session, type, type == OURO_DATA ? OURO_FLAG_ACK_REQ : 0,
                                   packet, 4, &used) == OURO_OK);
    } while (used < counter);
    ouro_session_erase(&session);
    return 36;
}

static void pending_takes_counters_0_to_3(void) {
    uint8_t packet[128];
    ouro_opened opened;
    for (uint64_t counter = 0; counter < 10; counter++) {
        begin(PENDINGS, false);
        CHECK(hello(0, 1) == OURO_OK);
        ouro_pending *pending = ouro_server_pending(&t.server, welcome_id());
        CHECK(!pending->derived);
        size_t len = first_packet(counter, OURO_DATA, packet);
        ouro_status status = ouro_server_open(&t.server, t.now, pending, packet, len, &opened);
        CHECK_EQUAL(status == OURO_OK, counter <= 3);
        if (counter > 3)
            CHECK_EQUAL(pending->session.window.next, 0);
    }
    /* A control counter is not a message counter. */
    begin(PENDINGS, false);
    CHECK(hello(0, 1) == OURO_OK);
    size_t len = first_packet(7, OURO_PING, packet);
    CHECK(ouro_server_open(&t.server, t.now, ouro_server_pending(&t.server, welcome_id()), packet,
                           len, &opened) == OURO_OK);
}

static void secrets_wait_for_the_first_packet(void) {
    uint8_t packet[128];
    ouro_opened opened;
    begin(PENDINGS, false);
    CHECK(hello(0, 1) == OURO_OK);
    ouro_pending *pending = ouro_server_pending(&t.server, welcome_id());
    CHECK(!pending->derived);
    size_t len = first_packet(0, OURO_DATA, packet);
    packet[20] ^= 1;
    CHECK(ouro_server_open(&t.server, t.now, pending, packet, len, &opened) == OURO_DROP_AUTH);
    CHECK(t.device[0].pending == pending);
    len = first_packet(0, OURO_DATA, packet);
    CHECK(ouro_server_open(&t.server, t.now, pending, packet, len, &opened) == OURO_OK);
    CHECK_EQUAL(opened.body.len, 4);
    /* Expired: not even a right packet confirms it. */
    begin(PENDINGS, false);
    CHECK(hello(0, 1) == OURO_OK);
    pending = ouro_server_pending(&t.server, welcome_id());
    len = first_packet(0, OURO_DATA, packet);
    CHECK(ouro_server_open(&t.server, t.now + 60000, pending, packet, len, &opened) ==
          OURO_DROP_SESSION);
    CHECK_EQUAL(t.server.pending_used, 0);
}

static void epochs_ahead_have_a_budget(void) {
    begin(PENDINGS, true);
    /* Forged ones: the derivation is for the device, whether the tag is right or not. */
    unsigned served = 0;
    for (size_t d = 0; d < 16; d++) {
        write_hello(d, 1, 700, false);
        t.hello[t.hello_len - 1] ^= 1;
        ouro_status status = give(&t.device[d]);
        CHECK(status == OURO_DROP_AUTH || status == OURO_DROP_LIMIT);
        served += status == OURO_DROP_AUTH;
    }
    /* 10,000 derivations a second; a table costs at least its 1,023. */
    CHECK(served >= 1 && served <= 9);
    /* For these no more is derived: forged ones do not use up their turn. */
    uint64_t budget = t.server.budget;
    for (int i = 0; i < 200; i++)
        CHECK(give(&t.device[15]) == OURO_DROP_LIMIT);
    write_hello(0, 2, 900, false);
    t.hello[t.hello_len - 1] ^= 1;
    CHECK(give(&t.device[0]) == OURO_DROP_AUTH);
    CHECK_EQUAL(t.server.budget, budget);
    /* The right one of a served device works at once; the credential moves, and says so. */
    write_hello(0, 3, 900, false);
    CHECK(give(&t.device[0]) == OURO_OK);
    CHECK(t.moved);
    CHECK_EQUAL(t.device[0].credential.epoch, 900);
    /* In turn: a second later the budget serves others. */
    t.now += 1000;
    write_hello(15, 1, 700, false);
    CHECK(give(&t.device[15]) == OURO_OK);
    CHECK_EQUAL(t.device[15].credential.epoch, 700);
}

static void epochs_behind_and_too_far(void) {
    static const struct {
        uint64_t ahead;
        bool taken;
    } jumps[] = {{0, true}, {1, true}, {2, true}, {1024, true}, {1025, false}, {5000, false}};
    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        begin(PENDINGS, true);
        write_hello(0, 1, jumps[i].ahead, false);
        CHECK_EQUAL(give(&t.device[0]) == OURO_OK, jumps[i].taken);
        CHECK_EQUAL(t.device[0].credential.epoch, jumps[i].taken ? jumps[i].ahead : 0);
        CHECK_EQUAL(t.moved, jumps[i].taken && jumps[i].ahead > 0);
    }
    begin(PENDINGS, true);
    write_hello(0, 1, 0, false);
    uint8_t old[OURO_HELLO_MAX];
    memcpy(old, t.hello, sizeof old);
    write_hello(0, 2, 1, false);
    CHECK(give(&t.device[0]) == OURO_OK);
    memcpy(t.hello, old, sizeof old);
    CHECK(give(&t.device[0]) == OURO_DROP_EPOCH);
    /* Fixed: there is one epoch. */
    begin(PENDINGS, false);
    write_hello(0, 1, 1, false);
    CHECK(give(&t.device[0]) == OURO_DROP_EPOCH);
}

/* A HELLO ahead of the server's epoch that would be challenged moves nothing yet. */
static void a_challenged_jump_moves_nothing(void) {
    begin(PENDINGS, true);
    for (uint8_t k = 1; k <= 4; k++)
        CHECK(hello(0, k) == OURO_OK);
    write_hello(0, 9, 1, false);
    CHECK(give(&t.device[0]) == OURO_OK);
    CHECK(challenged());
    CHECK(!t.moved);
    CHECK_EQUAL(t.device[0].credential.epoch, 0);
    CHECK_EQUAL(count(&t.device[0], false), 4);
    write_hello(0, 9, 1, true);
    CHECK(give(&t.device[0]) == OURO_OK);
    CHECK(!challenged());
    CHECK(t.moved);
    /* Leaving the epoch erases what was pending in it. */
    CHECK_EQUAL(count(&t.device[0], false), 0);
    CHECK_EQUAL(count(&t.device[0], true), 1);
}

static void forget_leaves_nothing(void) {
    begin(PENDINGS, true);
    CHECK(hello(0, 1) == OURO_OK && hello(0, 2) == OURO_OK && hello(1, 1) == OURO_OK);
    write_hello(0, 3, 5, false);
    t.hello[t.hello_len - 1] ^= 1;
    CHECK(give(&t.device[0]) == OURO_DROP_AUTH);
    ouro_server_forget(&t.server, &t.device[0]);
    CHECK_EQUAL(t.server.pending_used, 1);
    CHECK(ouro_server_pending(&t.server, 1) == NULL && ouro_server_pending(&t.server, 2) == NULL);
    CHECK(ouro_server_pending(&t.server, 3) != NULL);
    for (size_t i = 0; i < OURO_AHEAD_DEVICES; i++)
        CHECK(t.ahead[i].device == NULL);
    static const ouro_device none;
    CHECK_BYTES((const uint8_t *)&t.device[0], (const uint8_t *)&none, sizeof none);
}

void server_tests(void) {
    RUN(four_pending_then_a_challenge);
    RUN(fresh_ones_are_counted_apart);
    RUN(a_challenge_holds_for_two_slices);
    RUN(a_challenge_that_does_not_hold_counts_as_none);
    RUN(a_full_table_challenges_everybody);
    RUN(pending_sessions_end_after_a_minute);
    RUN(pending_takes_counters_0_to_3);
    RUN(secrets_wait_for_the_first_packet);
    RUN(epochs_ahead_have_a_budget);
    RUN(epochs_behind_and_too_far);
    RUN(a_challenged_jump_moves_nothing);
    RUN(forget_leaves_nothing);
}
