/* The ranges of what is below a link: servers, handshakes, sessions, forwards. */
#include "check.h"
#include "net.h"

#include <string.h>

static void a_refused_server_answers_nothing(void) {
    static ouro_pending pending[1];
    static const uint8_t key[32] = {1}, nonce[OURO_NONCE_SIZE] = {2};
    ouro_server_settings settings, right = {.reach = 8, .max_body = 200};
    uint8_t hello[OURO_HELLO_MAX], welcome[OURO_WELCOME_SIZE];
    ouro_hello fields = {.reach = 8, .max_body = 200};
    ouro_credential credential = {.epoch = 0};
    ouro_device device;
    ouro_server server;
    bool moved;
    size_t len;
    CHECK(ouro_hello_write(&fields, key, hello, &len) == OURO_OK);
    ouro_device_init(&device, &credential);
    for (int i = 0; i < 6; i++) {
        memset(&server, 0xff, sizeof server);
        settings = right;
        settings.reach = i == 0 ? 3 : 8;
        settings.id_prefix_bits = i == 1 ? 17 : 0;
        CHECK(ouro_server_init(&server, i == 2 ? NULL : &settings, i == 3 ? NULL : pending,
                               i == 4 ? 0 : 1, NULL, 0, i == 5 ? NULL : key,
                               0) == OURO_ERR_ARGUMENT);
        CHECK(ouro_server_hello(&server, 1, &device, NULL, hello, len, 1, nonce, welcome, &moved) ==
              OURO_ERR_STATE);
        CHECK(ouro_server_pending(&server, 1) == NULL);
        CHECK(ouro_server_tick(&server, 1) == OURO_NEVER);
        ouro_server_forget(&server, &device);
        ouro_server_erase(&server);
        ouro_server_erase(&server);
    }
}

static void handshakes_take_whole_packets(void) {
    static const uint8_t key[32] = {1}, k[32] = {2};
    uint8_t hello[OURO_HELLO_MAX] = {0}, packet[OURO_WELCOME_SIZE];
    ouro_welcome welcome = {.session_id = 1, .reach = 8, .max_body = 200};
    ouro_credential credential = {.epoch = 0};
    ouro_session session;
    ouro_slot slots[8];
    for (size_t len = 0; len <= OURO_HELLO_MAX; len++) {
        bool fits = len == OURO_HELLO_SIZE || len == OURO_HELLO_MAX;
        CHECK_EQUAL(ouro_hello_verify(key, hello, len) == OURO_ERR_ARGUMENT, !fits);
        CHECK_EQUAL(ouro_welcome_write(&welcome, key, hello, len, packet) == OURO_OK, fits);
        if (!fits) {
            CHECK(ouro_welcome_read(key, hello, len, packet, sizeof packet, &welcome) ==
                  OURO_ERR_ARGUMENT);
            welcome = (ouro_welcome){.session_id = 1, .reach = 8, .max_body = 200};
        }
        CHECK_EQUAL(ouro_handshake_session(&session, OURO_CLIENT, &credential, hello, len, packet,
                                           slots, 4) == OURO_OK,
                    fits);
    }
    CHECK(ouro_session_init(&session, OURO_CLIENT, 1, key, k, slots, 3) == OURO_ERR_ARGUMENT);
    CHECK(ouro_session_init(&session, OURO_CLIENT, 1, key, k, slots, 65) == OURO_ERR_ARGUMENT);
}

static void sessions_protect_their_own_types(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 10;
    net *n = net_connected(&o, 20);
    ouro_session *session = net_session(n, DEVICE);
    uint8_t packet[OURO_MAX_PACKET + 8];
    uint64_t counter, next = session->tail.tx_control_next;
    for (unsigned type = 0; type < 256; type++)
        if (type == 0 || type == OURO_HELLO || type == OURO_WELCOME || type > OURO_CLOSE) {
            CHECK(ouro_session_protect(session, (uint8_t)type, 0, packet, 9, &counter) ==
                  OURO_ERR_ARGUMENT);
            CHECK(ouro_tail_protect(&session->tail, (uint8_t)type, 0, packet, 9, &counter) ==
                  OURO_ERR_ARGUMENT);
        }
    CHECK(ouro_tail_protect(&session->tail, OURO_DATA, 0, packet, 9, &counter) ==
          OURO_ERR_ARGUMENT);
    CHECK(ouro_session_protect(session, OURO_DATA, 0, packet, OURO_MAX_BODY + 1, &counter) ==
          OURO_ERR_ARGUMENT);
    CHECK(ouro_session_protect(session, OURO_PING, 0, packet, OURO_MAX_BODY + 1, &counter) ==
          OURO_ERR_ARGUMENT);
    CHECK_EQUAL(session->tail.tx_control_next, next);
    net_free(n);
}

static void forwards_have_ranges(void) {
    static const uint8_t secret[32] = {1}, run[OURO_RUN_SIZE] = {2};
    uint8_t out[OURO_FORWARD_MAX], packet[4] = {0};
    ouro_forwarder forwarder;
    ouro_forward forward;
    size_t len;
    memset(&forward, 0, sizeof forward);
    CHECK(ouro_forwarder_init(&forwarder, secret, 1, 2, run) == OURO_OK);
    forward.packet = packet;
    forward.len = sizeof packet;
    CHECK(ouro_forward_seal(&forwarder, 1, &forward, out, &len) == OURO_ERR_ARGUMENT);
    forward.kind = OURO_FORWARD_TO_OWNER;
    CHECK(ouro_forward_seal(&forwarder, 1, &forward, out, &len) == OURO_OK);
    forward.packet = NULL;
    CHECK(ouro_forward_seal(&forwarder, 1, &forward, out, &len) == OURO_ERR_ARGUMENT);
    forward.len = 0;
    CHECK(ouro_forward_seal(&forwarder, 1, &forward, out, &len) == OURO_OK);
    forward.address.len = 28;
    CHECK(ouro_forward_seal(&forwarder, 1, &forward, out, &len) == OURO_ERR_ARGUMENT);
    ouro_forwarder_erase(&forwarder);
}

static void small_things(void) {
    static const uint8_t batch[4] = {0, 2, 'a', 'b'};
    uint64_t memory[64];
    ouro_pool pool;
    const uint8_t *item;
    size_t item_len, offset = 5;
    CHECK(!ouro_batch_next(batch, sizeof batch, &offset, &item, &item_len));
    CHECK(ouro_pool_init(&pool, NULL, sizeof memory, 96) == OURO_ERR_ARGUMENT);
    CHECK(ouro_pool_init(&pool, memory, sizeof memory, 95) == OURO_ERR_ARGUMENT);
    CHECK(ouro_pool_init(&pool, memory, sizeof memory, OURO_MAX_PACKET + 1) == OURO_ERR_ARGUMENT);
    CHECK(ouro_pool_init(&pool, (uint8_t *)memory + 4, 400, 96) == OURO_ERR_ARGUMENT);
    CHECK(ouro_pool_init(&pool, memory, sizeof memory, 96) == OURO_OK);
    ouro_erase(NULL, 0);
}

void range_tests(void) {
    RUN(a_refused_server_answers_nothing);
    RUN(handshakes_take_whole_packets);
    RUN(sessions_protect_their_own_types);
    RUN(forwards_have_ranges);
    RUN(small_things);
}
