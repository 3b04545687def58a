/*
 * Every entry of Tests/Vectors/ouroboros-v1.json, made by an independent implementation, or of the
 * file that the environment names in OURO_VECTORS.
 */
#include "check.h"

#include "ouroboros/ouroboros.h"
#include "vectors.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cJSON *document;

static const cJSON *list(const char *name) {
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(document, name);
    CHECK(cJSON_GetArraySize(found) > 0);
    return found;
}

static int digit(char c) {
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static size_t hex(const cJSON *entry, const char *name, uint8_t *out, size_t cap) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, name);
    const char *text = cJSON_GetStringValue(item);
    if (!CHECK(text != NULL))
        return 0;
    size_t len = strlen(text) / 2;
    if (!CHECK(len <= cap))
        return 0;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
    return len;
}

static uint64_t integer(const cJSON *entry, const char *name) {
    return (uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(entry, name));
}

static void expect_hex(const cJSON *entry, const char *name, const uint8_t *got, size_t len) {
    uint8_t want[OURO_MAX_PACKET];
    CHECK_EQUAL(hex(entry, name, want, sizeof want), len);
    CHECK_BYTES(got, want, len);
}

static void fleet(void) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list("fleet")) {
        uint8_t key[32], id[8], root[32];
        hex(entry, "fleet_key", key, sizeof key);
        hex(entry, "device_id", id, sizeof id);
        CHECK_EQUAL(ouro_fleet_root_key(key, id, root), OURO_OK);
        expect_hex(entry, "root_key", root, 32);
    }
}

static void epoch(void) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list("epoch")) {
        uint8_t key[32], derived[32];
        uint64_t e = integer(entry, "epoch");
        hex(entry, "root_key", key, sizeof key);
        CHECK_EQUAL(ouro_epoch_advance(key, 0, e), OURO_OK);
        expect_hex(entry, "epoch_key", key, 32);
        CHECK_EQUAL(ouro_auth_key(key, e, derived), OURO_OK);
        expect_hex(entry, "auth_key", derived, 32);
        CHECK_EQUAL(ouro_session_ikm(key, e, derived), OURO_OK);
        expect_hex(entry, "session_ikm", derived, 32);
    }
}

static void scramble(void) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list("scramble")) {
        uint8_t key[32], in[OURO_MAX_BODY], body[OURO_MAX_BODY];
        hex(entry, "key", key, sizeof key);
        size_t len = hex(entry, "in", in, sizeof in);
        memcpy(body, in, len);
        CHECK_EQUAL(ouro_scramble(key, body, len), OURO_OK);
        expect_hex(entry, "out", body, len);
        CHECK_EQUAL(ouro_unscramble(key, body, len), OURO_OK);
        CHECK_BYTES(body, in, len);
    }
}

/* The two entries are the two chains of one step function, so both run from both seeds. */
static void chain(void) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list("chain")) {
        const cJSON *label = cJSON_GetObjectItemCaseSensitive(entry, "label");
        bool enc = strcmp(cJSON_GetStringValue(label), "OUROBOROS_ENC_V1") == 0;
        uint8_t a[32], b[32], message_enc[32], message_scr[32];
        hex(entry, "seed", a, sizeof a);
        memcpy(b, a, sizeof b);
        const cJSON *step;
        uint64_t n = 0;
        cJSON_ArrayForEach(step, cJSON_GetObjectItemCaseSensitive(entry, "steps")) {
            uint64_t want = integer(step, "n");
            for (; n <= want; n++)
                CHECK_EQUAL(ouro_chain_step(a, b, n, message_enc, message_scr), OURO_OK);
            expect_hex(step, "chain_key", enc ? a : b, 32);
            expect_hex(step, "message_key", enc ? message_enc : message_scr, 32);
        }
    }
}

typedef struct pair {
    ouro_session client, server;
    ouro_slot client_slots[2 * OURO_MAX_REACH], server_slots[2 * OURO_MAX_REACH];
} pair;

static const cJSON *session_entry(int index) {
    return cJSON_GetArrayItem(list("sessions"), index);
}

static bool is_stream(const cJSON *entry) {
    return cJSON_HasObjectItem(entry, "stream");
}

/* Remakes HELLO and WELCOME from their parts, compares them, and makes both ends of the session. */
static void make_pair(const cJSON *entry, pair *p) {
    ouro_credential credential;
    ouro_hello hello;
    ouro_welcome welcome;
    uint8_t auth[32], packet[OURO_HELLO_MAX], reply[OURO_WELCOME_SIZE];
    size_t len = 0;
    memset(&credential, 0, sizeof credential);
    memset(&hello, 0, sizeof hello);
    memset(&welcome, 0, sizeof welcome);
    credential.epoch = hello.epoch = welcome.epoch = integer(entry, "epoch");
    credential.evolving = hello.evolving = credential.epoch != 0;
    hello.stream = welcome.stream = is_stream(entry);
    hex(entry, "root_key", credential.key, 32);
    CHECK_EQUAL(ouro_epoch_advance(credential.key, 0, credential.epoch), OURO_OK);
    CHECK_EQUAL(ouro_auth_key(credential.key, credential.epoch, auth), OURO_OK);
    hex(entry, "device_id", hello.device_id, 8);
    hex(entry, "nonce_c", hello.nonce, 16);
    hello.reach = (uint8_t)integer(entry, "reach_c");
    hello.max_body = (uint16_t)integer(entry, "max_body_c");
    if (cJSON_HasObjectItem(entry, "challenge")) {
        CHECK_EQUAL(ouro_hello_write(&hello, auth, packet, &len), OURO_OK);
        expect_hex(entry, "first_hello", packet, len);
        hex(entry, "challenge", welcome.nonce, 16);
        CHECK_EQUAL(ouro_welcome_write(&welcome, auth, packet, len, reply), OURO_OK);
        expect_hex(entry, "challenge_welcome", reply, sizeof reply);
        ouro_welcome read;
        CHECK_EQUAL(ouro_welcome_read(auth, packet, len, reply, sizeof reply, &read), OURO_OK);
        CHECK_EQUAL(read.session_id, 0);
        hello.has_challenge = true;
        hex(entry, "challenge", hello.challenge, 16);
    }
    CHECK_EQUAL(ouro_hello_write(&hello, auth, packet, &len), OURO_OK);
    expect_hex(entry, "hello", packet, len);
    ouro_hello heard;
    CHECK_EQUAL(ouro_hello_read(packet, len, &heard), OURO_OK);
    CHECK_EQUAL(heard.stream, hello.stream);
    CHECK_EQUAL(heard.evolving, hello.evolving);
    CHECK_EQUAL(ouro_hello_verify(auth, packet, len), OURO_OK);
    welcome.session_id = (uint32_t)integer(entry, "session_id");
    hex(entry, "nonce_s", welcome.nonce, 16);
    welcome.reach = (uint8_t)integer(entry, "reach_s");
    welcome.max_body = (uint16_t)integer(entry, "max_body_s");
    CHECK_EQUAL(ouro_welcome_write(&welcome, auth, packet, len, reply), OURO_OK);
    expect_hex(entry, "welcome", reply, sizeof reply);
    ouro_welcome read;
    CHECK_EQUAL(ouro_welcome_read(auth, packet, len, reply, sizeof reply, &read), OURO_OK);
    CHECK_EQUAL(read.stream, welcome.stream);
    CHECK_EQUAL(ouro_handshake_session(&p->client, OURO_CLIENT, &credential, packet, len, reply,
                                       hello.stream ? NULL : p->client_slots, hello.reach),
                OURO_OK);
    CHECK_EQUAL(ouro_handshake_session(&p->server, OURO_SERVER, &credential, packet, len, reply,
                                       hello.stream ? NULL : p->server_slots, welcome.reach),
                OURO_OK);
    expect_hex(entry, "k_ctl_c2s", p->client.tail.tx_control, 32);
    expect_hex(entry, "k_ctl_s2c", p->server.tail.tx_control, 32);
}

/* Sends nothing until the space's next counter is `counter`. */
static void skip_to(ouro_session *session, uint8_t type, uint64_t counter) {
    uint8_t wasted[OURO_OVERHEAD];
    uint64_t taken;
    if (type != OURO_DATA)
        session->tail.tx_control_next = counter;
    while (session->tail.tx_next < counter && type == OURO_DATA)
        CHECK_EQUAL(ouro_session_protect(session, OURO_DATA, 0, wasted, 0, &taken), OURO_OK);
}

static ouro_status open_packet(ouro_session *session, uint8_t *packet, size_t len, size_t max_body,
                               ouro_header *header, ouro_body *body) {
    ouro_status status = ouro_packet_decode(packet, len, max_body, header);
    if (status != OURO_OK)
        return status;
    return header->type == OURO_DATA ? ouro_session_open(session, header, packet, body)
                                     : ouro_tail_open(&session->tail, header, packet, body);
}

static void exchange(const cJSON *entry, pair *p) {
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(entry, "packets")) {
        const char *direction =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "direction"));
        bool up = strcmp(direction, "c2s") == 0;
        ouro_session *from = up ? &p->client : &p->server, *to = up ? &p->server : &p->client;
        uint8_t packet[OURO_MAX_PACKET], plain[OURO_MAX_BODY];
        size_t len = hex(item, "body", plain, sizeof plain);
        uint8_t type = (uint8_t)integer(item, "type");
        uint64_t counter = 0;
        skip_to(from, type, integer(item, "counter"));
        memcpy(packet + OURO_HEADER_SIZE, plain, len);
        CHECK_EQUAL(ouro_session_protect(from, type, (uint8_t)integer(item, "flags"), packet, len,
                                         &counter),
                    OURO_OK);
        CHECK_EQUAL(counter, integer(item, "counter"));
        expect_hex(item, "packet", packet, OURO_OVERHEAD + len);
        ouro_header header;
        ouro_body body;
        CHECK_EQUAL(open_packet(to, packet, OURO_OVERHEAD + len, OURO_MAX_BODY, &header, &body),
                    OURO_OK);
        CHECK_BYTES(packet + OURO_HEADER_SIZE, plain, len);
    }
}

static void sessions(void) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list("sessions")) {
        pair p;
        make_pair(entry, &p);
        exchange(entry, &p);
    }
}

/* None of these may open, and after each the session takes what it took before. */
static void reject(void) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list("reject")) {
        pair p;
        make_pair(session_entry((int)integer(entry, "session")), &p);
        /* The other side has sent message 0, as the entries say. */
        skip_to(&p.client, OURO_DATA, 1);
        skip_to(&p.server, OURO_DATA, 1);
        const char *direction =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "direction"));
        ouro_session *to = strcmp(direction, "c2s") == 0 ? &p.server : &p.client;
        uint8_t packet[OURO_MAX_PACKET];
        size_t len = hex(entry, "packet", packet, sizeof packet);
        ouro_header header;
        ouro_body body;
        ouro_status status = open_packet(to, packet, len, OURO_MAX_BODY, &header, &body);
        if (!CHECK(ouro_is_drop(status)))
            printf("  taken: %s\n",
                   cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "why")));
    }
}

void vector_tests(void) {
    document = load_vectors();
    CHECK(document != NULL);
    RUN(fleet);
    RUN(epoch);
    RUN(scramble);
    RUN(chain);
    RUN(sessions);
    RUN(reject);
}
