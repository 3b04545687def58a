/*
 * HELLO at a server and WELCOME at a client. The input is a packet whose tag is made right, so that
 * what lies behind the tag is reached; a copy with its tag left alone goes first.
 */
#include "crypto.h"
#include "ouroboros/ouroboros.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ouro_credential credential = {
    .device_id = {1, 2, 3, 4, 5, 6, 7, 8}, .key = {9}, .epoch = 3, .evolving = true};

static void tag(const uint8_t *before, size_t before_len, uint8_t *packet, size_t len) {
    uint8_t auth[32], mac[32];
    ouro_hmac hmac;
    ouro_span parts[2] = {{before, before_len}, {packet, len - OURO_TAG_SIZE}};
    if (ouro_auth_key(credential.key, credential.epoch, auth) != OURO_OK ||
        ouro_hmac_init(&hmac, auth) != OURO_OK || ouro_hmac_mac(&hmac, parts, 2, mac) != OURO_OK)
        abort();
    memcpy(packet + len - OURO_TAG_SIZE, mac, OURO_TAG_SIZE);
}

static void at_server(uint8_t *packet, size_t size, bool right) {
    static const ouro_server_settings settings = {.reach = 16, .max_body = 1200};
    static ouro_pending pending[8];
    static const uint8_t key[32], nonce[16];
    ouro_server server;
    ouro_device device;
    uint8_t welcome[OURO_WELCOME_SIZE];
    bool moved;
    if (ouro_server_init(&server, &settings, pending, 8, NULL, 0, key, 1) != OURO_OK)
        abort();
    ouro_device_init(&device, &credential);
    memcpy(packet + OURO_HEADER_SIZE, credential.device_id, OURO_DEVICE_ID_SIZE);
    if (right)
        tag(NULL, 0, packet, size);
    for (uint32_t id = 1; id < 8; id++)
        if (ouro_server_hello(&server, id, &device, NULL, packet, size, id, nonce, welcome,
                              &moved) != OURO_OK)
            break;
    ouro_server_forget(&server, &device);
    ouro_server_erase(&server);
}

static void at_client(uint8_t *packet, size_t size, bool right) {
    static const ouro_settings settings = {.role = OURO_CLIENT, .reach = 4, .max_body = 64};
    static ouro_session sessions[1];
    static ouro_tail tails[2];
    static ouro_slot slots[8];
    static uint64_t places[64];
    static const uint8_t nonce[16];
    ouro_client client;
    ouro_pool pool;
    ouro_memory memory = {sessions, slots, tails, NULL, &client, NULL, &pool, 1, 2};
    ouro_link link;
    uint8_t scratch[OURO_SCRATCH_SIZE];
    ouro_datagram out;
    if (ouro_pool_init(&pool, places, sizeof places, 128) != OURO_OK ||
        ouro_link_init(&link, &settings, &memory, &credential, 1) != OURO_OK ||
        ouro_link_connect(&link, 1) != OURO_OK || ouro_link_nonce(&link, nonce) != OURO_OK ||
        ouro_link_transmit(&link, 1, scratch, &out) != OURO_OK)
        abort();
    if (right)
        tag(client.hello, client.hello_len, packet, size);
    (void)!ouro_link_receive(&link, 2, NULL, packet, size);
    ouro_link_tick(&link, ouro_link_deadline(&link, 2));
    ouro_link_erase(&link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < OURO_OVERHEAD + OURO_DEVICE_ID_SIZE || size > OURO_MAX_PACKET)
        return 0;
    for (int right = 0; right < 2; right++) {
        uint8_t copy[OURO_MAX_PACKET];
        memcpy(copy, data, size);
        at_server(copy, size, right != 0);
        memcpy(copy, data, size);
        at_client(copy, size, right != 0);
    }
    return 0;
}
