/* Gateways of one fleet: session ids by prefix, challenges that hold at each, forwards. */
#include "check.h"
#include "ouroboros/ouroboros.h"

#include <string.h>

enum { FROM = 3, TO = 7, WALL = 1700000000 };

static const uint8_t secret[OURO_KEY_SIZE] = {5, 6, 7};
static const uint8_t run_a[OURO_RUN_SIZE] = {1}, run_b[OURO_RUN_SIZE] = {2};

static struct {
    ouro_server_settings settings;
    ouro_server server;
    ouro_pending pending[8];
    ouro_device device;
} gateway[2];

static void begin(size_t g, uint16_t prefix, uint8_t bits) {
    static const ouro_credential credential = {.device_id = {1}, .key = {2}};
    uint8_t key[OURO_KEY_SIZE];
    memset(&gateway[g], 0, sizeof gateway[g]);
    gateway[g].settings.reach = 16;
    gateway[g].settings.max_body = 1200;
    gateway[g].settings.id_prefix = prefix;
    gateway[g].settings.id_prefix_bits = bits;
    CHECK(ouro_fleet_challenge_key(secret, key) == OURO_OK);
    CHECK(ouro_server_init(&gateway[g].server, &gateway[g].settings, gateway[g].pending, 8, NULL, 0,
                           key, 0) == OURO_OK);
    ouro_device_init(&gateway[g].device, &credential);
}

/* A HELLO with this nonce, and the challenge that `welcome` brought if there is one. */
static ouro_status hello(size_t g, uint64_t now, uint8_t nonce, const uint8_t *challenge,
                         uint32_t id, uint8_t welcome[OURO_WELCOME_SIZE]) {
    ouro_hello hello;
    uint8_t auth[32], packet[OURO_HELLO_MAX], nonce_s[16] = {nonce, 1};
    size_t len;
    bool moved;
    memset(&hello, 0, sizeof hello);
    hello.device_id[0] = 1;
    hello.nonce[0] = nonce;
    hello.reach = 8;
    hello.max_body = 200;
    hello.has_challenge = challenge != NULL;
    if (challenge != NULL)
        memcpy(hello.challenge, challenge, sizeof hello.challenge);
    CHECK(ouro_auth_key(gateway[g].device.credential.key, 0, auth) == OURO_OK);
    CHECK(ouro_hello_write(&hello, auth, packet, &len) == OURO_OK);
    return ouro_server_hello(&gateway[g].server, now, &gateway[g].device, NULL, packet, len, id,
                             nonce_s, welcome, &moved);
}

static void session_ids_carry_their_gateway(void) {
    ouro_server_settings s = {.reach = 16, .max_body = 1200};
    CHECK_EQUAL(ouro_server_session_id(&s, 0xfedcba98), 0xfedcba98);
    CHECK_EQUAL(ouro_server_session_id(&s, 0), 0);
    s.id_prefix = 200;
    s.id_prefix_bits = 8;
    CHECK_EQUAL(ouro_server_session_id(&s, 0xfedcba98), 0xc8dcba98);
    s.id_prefix = 0xc81;
    s.id_prefix_bits = 12;
    CHECK_EQUAL(ouro_server_session_id(&s, 0), 0xc8100000);
    uint8_t welcome[OURO_WELCOME_SIZE];
    begin(0, 200, 8);
    CHECK(hello(0, 1, 1, NULL, 0x01000001, welcome) == OURO_ERR_ARGUMENT);
    CHECK(hello(0, 1, 1, NULL, 0xc8000001, welcome) == OURO_OK);
    CHECK_EQUAL(ouro_packet_session_id(welcome, sizeof welcome), 0xc8000001);
}

static void a_prefix_that_does_not_fit_is_refused(void) {
    ouro_server server;
    ouro_server_settings s = {.reach = 16, .max_body = 1200, .id_prefix = 256, .id_prefix_bits = 8};
    CHECK(ouro_server_init(&server, &s, gateway[0].pending, 8, NULL, 0, secret, 0) ==
          OURO_ERR_ARGUMENT);
    s.id_prefix_bits = 17;
    CHECK(ouro_server_init(&server, &s, gateway[0].pending, 8, NULL, 0, secret, 0) ==
          OURO_ERR_ARGUMENT);
}

/* Makes gateway 0 challenge a device; gives the challenge. */
static void challenge(uint64_t now, uint8_t out[OURO_CHALLENGE_SIZE]) {
    uint8_t welcome[OURO_WELCOME_SIZE];
    for (uint8_t i = 1; i <= 5; i++)
        CHECK(hello(0, now, i, NULL, 0x01000000u + i, welcome) == OURO_OK);
    CHECK_EQUAL(ouro_packet_session_id(welcome, sizeof welcome), 0);
    memcpy(out, welcome + 16, OURO_CHALLENGE_SIZE);
}

/* Whether the challenge of gateway 0 holds at gateway 1, whose clock is `skew` ms ahead. */
static bool holds(uint64_t at, int64_t skew, const uint8_t made[OURO_CHALLENGE_SIZE]) {
    uint8_t welcome[OURO_WELCOME_SIZE];
    begin(1, 2, 8);
    /* Its own time has nothing to do with the other's. */
    ouro_server_set_wall_clock(&gateway[1].server, 5, (uint64_t)((int64_t)at + skew));
    for (uint8_t i = 11; i <= 14; i++)
        CHECK(hello(1, 5, i, NULL, 0x02000000u + i, welcome) == OURO_OK);
    CHECK(hello(1, 5, 5, made, 0x02000099, welcome) == OURO_OK);
    return ouro_packet_session_id(welcome, sizeof welcome) != 0;
}

static void a_challenge_holds_at_each_gateway(void) {
    uint8_t made[OURO_CHALLENGE_SIZE];
    begin(0, 1, 8);
    ouro_server_set_wall_clock(&gateway[0].server, 1000, 1700000004000);
    challenge(1000, made);
    CHECK(holds(1700000004100, 0, made));
    CHECK(holds(1700000004100, 95899, made));
    CHECK(!holds(1700000004100, 95900, made));
    CHECK(holds(1700000004100, -24100, made));
    /* A slice that has not begun there yet: the device is challenged again. */
    CHECK(!holds(1700000004100, -24101, made));
    made[3] ^= 1;
    CHECK(!holds(1700000004100, 0, made));
}

static const uint8_t new_secret[OURO_KEY_SIZE] = {8, 8, 8};

/* While the fleet's secret is replaced, challenges under the second one hold too, and no others. */
static void challenges_of_a_second_secret(void) {
    uint8_t made[OURO_CHALLENGE_SIZE], welcome[OURO_WELCOME_SIZE], key[OURO_KEY_SIZE];
    static const struct {
        bool set, removed, holds;
    } cases[] = {{false, false, false}, {true, false, true}, {true, true, false}};
    begin(0, 1, 8);
    challenge(1000, made);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(1, 2, 8);
        ouro_server *server = &gateway[1].server;
        /* Gateway 1 has the new secret first, and the old one second. */
        CHECK(ouro_fleet_challenge_key(new_secret, server->challenge_key) == OURO_OK);
        CHECK(ouro_fleet_challenge_key(secret, key) == OURO_OK);
        if (cases[i].set)
            ouro_server_set_second_challenge_key(server, key);
        if (cases[i].removed)
            ouro_server_set_second_challenge_key(server, NULL);
        for (uint8_t k = 11; k <= 14; k++)
            CHECK(hello(1, 1000, k, NULL, 0x02000000u + k, welcome) == OURO_OK);
        CHECK(hello(1, 1000, 5, made, 0x02000099, welcome) == OURO_OK);
        CHECK_EQUAL(ouro_packet_session_id(welcome, sizeof welcome) != 0, cases[i].holds);
        /* Its own are under the first. */
        CHECK(hello(1, 1000, 6, NULL, 0x02000098, welcome) == OURO_OK);
        CHECK(hello(1, 1000, 6, welcome + 16, 0x02000097, welcome) == OURO_OK);
        CHECK(ouro_packet_session_id(welcome, sizeof welcome) != 0);
    }
}

static ouro_forwarder out;
static ouro_forward_window in;
static uint8_t sealed[OURO_FORWARD_MAX];
static size_t sealed_len;

static void seal(uint64_t wall, uint8_t mark) {
    uint8_t packet[OURO_MAX_PACKET];
    ouro_forward f;
    memset(&f, 0, sizeof f);
    memset(packet, mark, sizeof packet);
    f.kind = OURO_FORWARD_TO_OWNER;
    f.address.len = 9;
    f.address.bytes[8] = mark;
    f.packet = packet;
    f.len = sizeof packet;
    CHECK(ouro_forward_seal(&out, wall, &f, sealed, &sealed_len) == OURO_OK);
}

static ouro_status open_copy(const uint8_t *data, size_t len, uint64_t wall, ouro_forward *f) {
    static uint8_t copy[OURO_FORWARD_MAX + 1];
    memcpy(copy, data, len);
    return ouro_forward_open(&in, wall, copy, len, f);
}

/* A context that is made anew is ended first: the crypto library may have memory of its own in it.
 */
static void begin_run(const uint8_t run[OURO_RUN_SIZE]) {
    ouro_forwarder_erase(&out);
    CHECK(ouro_forwarder_init(&out, secret, FROM, TO, run) == OURO_OK);
}

static void begin_window(const uint8_t fleet_secret[OURO_KEY_SIZE], uint8_t from, uint8_t to) {
    ouro_forward_window_erase(&in);
    ouro_forward_window_init(&in, fleet_secret, from, to);
}

static void begin_forwards(void) {
    begin_run(run_a);
    begin_window(secret, FROM, TO);
}

static void a_forward_arrives_once(void) {
    ouro_forward f;
    begin_forwards();
    seal(WALL, 9);
    CHECK_EQUAL(sealed_len, OURO_FORWARD_HEADER + 9 + OURO_MAX_PACKET + OURO_TAG_SIZE);
    CHECK_EQUAL(ouro_forward_sender(sealed, sealed_len), FROM);
    CHECK(open_copy(sealed, sealed_len, WALL, &f) == OURO_OK);
    CHECK_EQUAL(f.kind, OURO_FORWARD_TO_OWNER);
    CHECK_EQUAL(f.len, OURO_MAX_PACKET);
    CHECK_EQUAL(f.packet[0], 9);
    CHECK_EQUAL(f.address.len, 9);
    CHECK_EQUAL(f.address.bytes[8], 9);
    CHECK(open_copy(sealed, sealed_len, WALL, &f) == OURO_DROP_REPLAY);
}

static void forwards_may_overtake(void) {
    static uint8_t kept[80][OURO_FORWARD_MAX];
    ouro_forward f;
    begin_forwards();
    for (uint8_t i = 0; i < 80; i++) {
        seal(WALL, i);
        memcpy(kept[i], sealed, sealed_len);
    }
    CHECK(open_copy(kept[79], sealed_len, WALL, &f) == OURO_OK);
    CHECK(open_copy(kept[15], sealed_len, WALL, &f) == OURO_OK);
    CHECK(open_copy(kept[14], sealed_len, WALL, &f) == OURO_DROP_REPLAY);
    for (size_t i = 16; i < 79; i++)
        CHECK(open_copy(kept[i], sealed_len, WALL, &f) == OURO_OK);
    for (size_t i = 0; i < 80; i++)
        CHECK(open_copy(kept[i], sealed_len, WALL, &f) == OURO_DROP_REPLAY);
}

static void a_gateway_that_restarts_is_heard(void) {
    uint8_t old[OURO_FORWARD_MAX];
    ouro_forward f;
    begin_forwards();
    seal(WALL, 1);
    CHECK(open_copy(sealed, sealed_len, WALL, &f) == OURO_OK);
    seal(WALL, 2);
    memcpy(old, sealed, sealed_len);
    begin_run(run_b);
    seal(WALL + 1, 3);
    CHECK(open_copy(sealed, sealed_len, WALL + 1, &f) == OURO_OK);
    CHECK_EQUAL(f.packet[0], 3);
    /* What the run before sent does not bring that run back. */
    CHECK(open_copy(old, sealed_len, WALL + 2, &f) == OURO_DROP_REPLAY);
    CHECK(open_copy(sealed, sealed_len, WALL + 2, &f) == OURO_DROP_REPLAY);
}

/* Its numbers begin anew, however many it had sent before. */
static void a_gateway_that_restarts_after_many(void) {
    ouro_forward f;
    begin_forwards();
    for (uint8_t i = 0; i < 200; i++)
        seal(WALL, i);
    CHECK(open_copy(sealed, sealed_len, WALL, &f) == OURO_OK);
    begin_run(run_b);
    for (uint8_t i = 0; i < 3; i++) {
        seal(WALL + 1, i);
        CHECK(open_copy(sealed, sealed_len, WALL + 1, &f) == OURO_OK);
        CHECK(open_copy(sealed, sealed_len, WALL + 1, &f) == OURO_DROP_REPLAY);
    }
}

static void only_fresh_forwards_are_taken(void) {
    ouro_forward f;
    begin_forwards();
    seal(WALL, 1);
    CHECK(open_copy(sealed, sealed_len, WALL + OURO_FORWARD_FRESH_MS + 1, &f) == OURO_DROP_AHEAD);
    CHECK(open_copy(sealed, sealed_len, WALL - OURO_FORWARD_FRESH_MS - 1, &f) == OURO_DROP_AHEAD);
    CHECK(open_copy(sealed, sealed_len, WALL + OURO_FORWARD_FRESH_MS, &f) == OURO_OK);
}

/* Every byte counts, and nothing but an authentic forward moves the window. */
static void forged_forwards_change_nothing(void) {
    static ouro_forward_window before;
    ouro_forward f;
    begin_forwards();
    seal(WALL, 1);
    CHECK(open_copy(sealed, sealed_len, WALL, &f) == OURO_OK);
    seal(WALL, 2);
    before = in;
    for (size_t i = 0; i < sealed_len; i++) {
        sealed[i] ^= 0x80;
        CHECK(ouro_is_drop(open_copy(sealed, sealed_len, WALL, &f)));
        sealed[i] ^= 0x80;
    }
    for (size_t len = 0; len < sealed_len; len++)
        CHECK(ouro_is_drop(open_copy(sealed, len, WALL, &f)));
    static uint8_t longer[OURO_FORWARD_MAX + 1];
    memcpy(longer, sealed, sealed_len);
    CHECK(open_copy(longer, sizeof longer, WALL, &f) == OURO_DROP_MALFORMED);
    CHECK_EQUAL(in.highest, before.highest);
    CHECK_EQUAL(in.below, before.below);
    CHECK_EQUAL(in.newest_ms, before.newest_ms);
    CHECK_BYTES(in.run, before.run, sizeof in.run);
    CHECK(in.known && open_copy(sealed, sealed_len, WALL, &f) == OURO_OK);
    /* Another fleet, another direction. */
    uint8_t other[OURO_KEY_SIZE] = {5, 6, 8};
    begin_window(other, FROM, TO);
    CHECK(open_copy(sealed, sealed_len, WALL, &f) == OURO_DROP_AUTH);
    begin_window(secret, TO, FROM);
    CHECK(open_copy(sealed, sealed_len, WALL, &f) == OURO_DROP_MALFORMED);
}

/* A run that is not known may be under either secret; one that is, is under its own. */
static void forwards_of_a_second_secret(void) {
    ouro_forward f;
    begin_run(run_a);
    begin_window(new_secret, FROM, TO);
    seal(WALL, 1);
    CHECK(open_copy(sealed, sealed_len, WALL, &f) == OURO_DROP_AUTH);
    ouro_forward_window_set_second(&in, secret);
    CHECK(open_copy(sealed, sealed_len, WALL, &f) == OURO_OK);
    CHECK_EQUAL(f.packet[0], 1);
    seal(WALL, 2);
    CHECK(open_copy(sealed, sealed_len, WALL, &f) == OURO_OK);
    sealed[50] ^= 1;
    CHECK(ouro_is_drop(open_copy(sealed, sealed_len, WALL, &f)));
    /* The other gateway makes the new one its first, with a new run; then the old one is removed.
     */
    ouro_forwarder_erase(&out);
    CHECK(ouro_forwarder_init(&out, new_secret, FROM, TO, run_b) == OURO_OK);
    seal(WALL + 1, 3);
    CHECK(open_copy(sealed, sealed_len, WALL + 1, &f) == OURO_OK);
    ouro_forward_window_set_second(&in, NULL);
    begin_run(run_a);
    seal(WALL + 2, 4);
    CHECK(open_copy(sealed, sealed_len, WALL + 2, &f) == OURO_DROP_AUTH);
}

static void what_does_not_fit_is_not_forwarded(void) {
    static uint8_t packet[OURO_MAX_PACKET + 1];
    ouro_forward f;
    memset(&f, 0, sizeof f);
    begin_forwards();
    f.kind = OURO_FORWARD_TO_DEVICE;
    f.packet = packet;
    f.len = sizeof packet;
    CHECK(ouro_forward_seal(&out, WALL, &f, sealed, &sealed_len) == OURO_ERR_ARGUMENT);
    f.len = 1;
    f.address.len = sizeof f.address.bytes + 1;
    CHECK(ouro_forward_seal(&out, WALL, &f, sealed, &sealed_len) == OURO_ERR_ARGUMENT);
}

void fleet_tests(void) {
    RUN(session_ids_carry_their_gateway);
    RUN(a_prefix_that_does_not_fit_is_refused);
    RUN(a_challenge_holds_at_each_gateway);
    RUN(challenges_of_a_second_secret);
    RUN(forwards_of_a_second_secret);
    RUN(a_forward_arrives_once);
    RUN(forwards_may_overtake);
    RUN(a_gateway_that_restarts_is_heard);
    RUN(a_gateway_that_restarts_after_many);
    RUN(only_fresh_forwards_are_taken);
    RUN(forged_forwards_change_nothing);
    RUN(what_does_not_fit_is_not_forwarded);
    ouro_forwarder_erase(&out);
    ouro_forward_window_erase(&in);
}
