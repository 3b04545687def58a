/* Devices that are epochs ahead of their server: whose turn it is, and what they make it write. */
#include "check.h"
#include "ouroboros/ouroboros.h"

#include <string.h>

enum { FORGED = 16, TRUE_ONES = 40, DEVICES = FORGED + TRUE_ONES, PENDINGS = 64 };

static const ouro_server_settings settings = {.reach = 16, .max_body = 1200};

static struct {
    ouro_server server;
    ouro_pending pending[PENDINGS];
    ouro_ahead ahead[OURO_AHEAD_DEVICES];
    ouro_device device[DEVICES];
    uint64_t now;
    uint32_t next_id;
    bool moved;
} t;

static void begin(void) {
    static const uint8_t key[32] = {7};
    memset(&t, 0, sizeof t);
    t.now = 1000;
    t.next_id = 1;
    CHECK(ouro_server_init(&t.server, &settings, t.pending, PENDINGS, t.ahead, OURO_AHEAD_DEVICES,
                           key, t.now) == OURO_OK);
    for (size_t i = 0; i < DEVICES; i++) {
        ouro_credential c;
        memset(&c, 0, sizeof c);
        c.device_id[7] = (uint8_t)i;
        memset(c.key, (int)i + 1, sizeof c.key);
        c.evolving = true;
        ouro_device_init(&t.device[i], &c);
    }
}

/* A HELLO of device `d`, `steps` epochs ahead of the server; forged, it has a wrong tag. */
static ouro_status hello(size_t d, uint64_t steps, bool forged) {
    uint8_t key[32], auth[32], packet[OURO_HELLO_MAX], welcome[OURO_WELCOME_SIZE], nonce[16] = {1};
    const ouro_credential *c = &t.device[d].credential;
    ouro_hello h = {.epoch = c->epoch + steps, .evolving = true, .reach = 16, .max_body = 1200};
    size_t len = 0;
    memcpy(key, c->key, sizeof key);
    memcpy(h.device_id, c->device_id, sizeof h.device_id);
    memcpy(h.nonce, &t.next_id, sizeof t.next_id);
    CHECK(ouro_epoch_advance(key, c->epoch, steps) == OURO_OK);
    CHECK(ouro_auth_key(key, h.epoch, auth) == OURO_OK);
    CHECK(ouro_hello_write(&h, auth, packet, &len) == OURO_OK);
    packet[len - 1] ^= forged;
    return ouro_server_hello(&t.server, t.now, &t.device[d], NULL, packet, len, t.next_id++, nonce,
                             welcome, &t.moved);
}

/* The least budget is one table: it is used whole, and is there again 2,046 seconds later. */
static void the_least_budget(void) {
    static const ouro_server_settings least = {
        .reach = 16, .max_body = 1200, .derivations_second = 1};
    static const uint8_t key[32] = {7};
    begin();
    CHECK(ouro_server_init(&t.server, &least, t.pending, PENDINGS, t.ahead, OURO_AHEAD_DEVICES, key,
                           t.now) == OURO_OK);
    CHECK(hello(0, 2, true) == OURO_DROP_AUTH);
    CHECK(hello(1, 2, true) == OURO_DROP_LIMIT);
    t.now += 2045999;
    CHECK(hello(1, 2, true) == OURO_DROP_LIMIT);
    t.now += 1001;
    CHECK(hello(1, 2, true) == OURO_DROP_AUTH);
}

/* When all tables are in use the one derived first gives way. */
static void the_oldest_gives_way(void) {
    begin();
    for (size_t d = 0; d < 17; d++) {
        t.now += 1000;
        CHECK(hello(d, 2, true) == OURO_DROP_AUTH);
    }
    for (size_t i = 0; i < OURO_AHEAD_DEVICES; i++)
        CHECK(t.ahead[i].device != NULL && t.ahead[i].device != &t.device[0]);
    CHECK(hello(16, 2, false) == OURO_OK);
    CHECK(t.moved);
}

/* A device's are derived at most once in 60 s, and anew after a move. */
static void once_a_minute(void) {
    begin();
    CHECK(hello(0, 2, true) == OURO_DROP_AUTH);
    for (size_t d = 1; d < 17; d++) {
        t.now += 1000;
        CHECK(hello(d, 2, true) == OURO_DROP_AUTH);
    }
    uint64_t budget = t.server.budget;
    t.now = 1000 + 59999;
    CHECK(hello(0, 2, false) == OURO_DROP_LIMIT);
    CHECK(t.server.budget >= budget);
    t.now++;
    CHECK(hello(0, 2, false) == OURO_OK);
    t.now++;
    CHECK(hello(0, 900, false) == OURO_OK);
    t.now++;
    CHECK(hello(0, 700, true) == OURO_DROP_AUTH);
    CHECK_EQUAL(t.device[0].credential.epoch, 902);
}

/* A registry that was restored, and forged HELLOs of 16 ids that somebody saw: all come back. */
static void forty_devices_beside_forged_ones(void) {
    uint64_t next[TRUE_ONES], last = 0;
    bool back[TRUE_ONES] = {false};
    unsigned count = 0;
    begin();
    for (size_t i = 0; i < TRUE_ONES; i++)
        next[i] = t.now + 2500 * i;
    for (; t.now < 3600000 && count < TRUE_ONES; t.now += 100) {
        for (size_t d = 0; t.now % 200 == 0 && d < FORGED; d++)
            CHECK(ouro_is_drop(hello(d, 5, true)));
        for (size_t i = 0; i < TRUE_ONES; i++) {
            if (back[i] || t.now < next[i])
                continue;
            next[i] = t.now + 8000;
            if (hello(FORGED + i, 5, false) != OURO_OK)
                continue;
            back[i] = true;
            last = t.now;
            count++;
            ouro_server_drop_pending(&t.server, &t.device[FORGED + i], UINT64_MAX);
        }
        (void)ouro_server_tick(&t.server, t.now);
    }
    CHECK_EQUAL(count, TRUE_ONES);
    CHECK(last <= 100000);
}

/* The holder of a key makes a server write 60 times at once by HELLOs, and once a second then. */
static void moves_have_an_allowance_of_their_own(void) {
    unsigned writes = 0;
    begin();
    for (int i = 0; i < 200; i++) {
        ouro_status status = hello(0, 1, false);
        CHECK(status == OURO_OK || status == OURO_DROP_LIMIT);
        writes += t.moved;
    }
    CHECK_EQUAL(writes, 60);
    /* Confirming sessions has its own. */
    CHECK(!t.device[0].confirms.set);
    for (int i = 0; i < 1000; i++) {
        t.now += 10;
        (void)hello(0, 1, false);
        writes += t.moved;
    }
    CHECK_EQUAL(writes, 70);
    /* Another device has all of its own. */
    CHECK(hello(1, 1, false) == OURO_OK);
}

void ahead_tests(void) {
    RUN(the_least_budget);
    RUN(the_oldest_gives_way);
    RUN(once_a_minute);
    RUN(forty_devices_beside_forged_ones);
    RUN(moves_have_an_allowance_of_their_own);
}
