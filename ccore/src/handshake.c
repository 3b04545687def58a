#include "ouroboros/handshake.h"

#include "bytes.h"
#include "crypto.h"
#include "declassify.h"
#include <string.h>

static ouro_status truncated_hmac(const uint8_t key[32], const ouro_span *parts, size_t count,
                                  uint8_t tag[16]) {
    ouro_hmac hmac;
    uint8_t mac[32] = {0};
    ouro_status status = ouro_hmac_init(&hmac, key);
    if (status == OURO_OK)
        status = ouro_hmac_mac(&hmac, parts, count, mac);
    memcpy(tag, mac, OURO_TAG_SIZE);
    ouro_hmac_clear(&hmac);
    ouro_erase(mac, sizeof mac);
    return status;
}

static bool is_right(const uint8_t tag[16], const uint8_t *claimed) {
    bool right = ouro_equal(tag, claimed, OURO_TAG_SIZE);
    declassify(&right, sizeof right);
    return right;
}

static bool terms_fit(uint8_t reach, uint16_t max_body) {
    return reach >= OURO_MIN_REACH && reach <= OURO_MAX_REACH && max_body >= OURO_MIN_MAX_BODY &&
           max_body <= OURO_MAX_BODY;
}

ouro_status ouro_hello_write(const ouro_hello *hello, const uint8_t auth_key[32],
                             uint8_t packet[OURO_HELLO_MAX], size_t *len) {
    if (!terms_fit(hello->reach, hello->max_body))
        return OURO_ERR_ARGUMENT;
    ouro_header header = {OURO_HELLO, 0, (uint16_t)(hello->has_challenge ? 44 : 28), 0,
                          hello->epoch};
    ouro_packet_encode(&header, packet);
    uint8_t *p = packet + OURO_HEADER_SIZE;
    memcpy(p, hello->device_id, OURO_DEVICE_ID_SIZE);
    memcpy(p + 8, hello->nonce, OURO_NONCE_SIZE);
    p[24] = hello->reach;
    p[25] = hello->top;
    store_u16(p + 26, hello->max_body);
    if (hello->has_challenge)
        memcpy(p + 28, hello->challenge, OURO_CHALLENGE_SIZE);
    ouro_span signed_part = {packet, (size_t)OURO_HEADER_SIZE + header.length};
    *len = (size_t)OURO_OVERHEAD + header.length;
    return truncated_hmac(auth_key, &signed_part, 1, p + header.length);
}

ouro_status ouro_hello_read(const uint8_t *packet, size_t len, ouro_hello *hello) {
    ouro_header header;
    memset(hello, 0, sizeof *hello);
    ouro_status status = ouro_packet_decode(packet, len, OURO_MAX_BODY, &header);
    if (status != OURO_OK)
        return status;
    if (header.type != OURO_HELLO)
        return OURO_DROP_MALFORMED;
    const uint8_t *p = packet + OURO_HEADER_SIZE;
    memcpy(hello->device_id, p, OURO_DEVICE_ID_SIZE);
    memcpy(hello->nonce, p + 8, OURO_NONCE_SIZE);
    hello->epoch = header.counter;
    hello->reach = p[24];
    hello->top = p[25];
    hello->max_body = load_u16(p + 26);
    hello->has_challenge = header.length == 44;
    if (hello->has_challenge)
        memcpy(hello->challenge, p + 28, OURO_CHALLENGE_SIZE);
    return terms_fit(hello->reach, hello->max_body) ? OURO_OK : OURO_DROP_MALFORMED;
}

ouro_status ouro_hello_verify(const uint8_t auth_key[32], const uint8_t *packet, size_t len) {
    uint8_t tag[16];
    ouro_span signed_part = {packet, len - OURO_TAG_SIZE};
    ouro_status status = truncated_hmac(auth_key, &signed_part, 1, tag);
    if (status != OURO_OK)
        return status;
    return is_right(tag, packet + signed_part.len) ? OURO_OK : OURO_DROP_AUTH;
}

static ouro_status welcome_tag(const uint8_t auth_key[32], const uint8_t *hello, size_t hello_len,
                               const uint8_t *packet, uint8_t tag[16]) {
    ouro_span parts[2] = {{hello, hello_len}, {packet, OURO_WELCOME_SIZE - OURO_TAG_SIZE}};
    return truncated_hmac(auth_key, parts, 2, tag);
}

ouro_status ouro_welcome_write(const ouro_welcome *welcome, const uint8_t auth_key[32],
                               const uint8_t *hello, size_t hello_len,
                               uint8_t packet[OURO_WELCOME_SIZE]) {
    ouro_header header = {OURO_WELCOME, 0, 20, welcome->session_id, welcome->epoch};
    ouro_packet_encode(&header, packet);
    uint8_t *p = packet + OURO_HEADER_SIZE;
    memcpy(p, welcome->nonce, OURO_NONCE_SIZE);
    p[16] = welcome->reach;
    p[17] = welcome->top;
    store_u16(p + 18, welcome->max_body);
    return welcome_tag(auth_key, hello, hello_len, packet, p + 20);
}

ouro_status ouro_welcome_parse(const uint8_t *packet, size_t len, ouro_welcome *welcome) {
    ouro_header header;
    memset(welcome, 0, sizeof *welcome);
    ouro_status status = ouro_packet_decode(packet, len, OURO_MAX_BODY, &header);
    if (status != OURO_OK)
        return status;
    if (header.type != OURO_WELCOME)
        return OURO_DROP_MALFORMED;
    const uint8_t *p = packet + OURO_HEADER_SIZE;
    welcome->session_id = header.session_id;
    welcome->epoch = header.counter;
    memcpy(welcome->nonce, p, OURO_NONCE_SIZE);
    welcome->reach = p[16];
    welcome->top = p[17];
    welcome->max_body = load_u16(p + 18);
    bool challenge = welcome->session_id == 0;
    bool fits = challenge ? welcome->reach == 0 && welcome->max_body == 0
                          : terms_fit(welcome->reach, welcome->max_body);
    return fits ? OURO_OK : OURO_DROP_MALFORMED;
}

static ouro_status welcome_check(const uint8_t auth_key[32], const uint8_t *hello, size_t hello_len,
                                 const uint8_t *packet, size_t len, ouro_welcome *welcome) {
    uint8_t tag[16];
    ouro_status status = ouro_welcome_parse(packet, len, welcome);
    /* A WELCOME carries the epoch of the HELLO that it answers. */
    if (status == OURO_OK && welcome->epoch != load_u64(hello + 8))
        status = OURO_DROP_MALFORMED;
    if (status == OURO_OK)
        status = welcome_tag(auth_key, hello, hello_len, packet, tag);
    if (status == OURO_OK && !is_right(tag, packet + OURO_WELCOME_SIZE - OURO_TAG_SIZE))
        status = OURO_DROP_AUTH;
    return status;
}

ouro_status ouro_welcome_read(const uint8_t auth_key[32], const uint8_t *hello, size_t hello_len,
                              const uint8_t *packet, size_t len, ouro_welcome *welcome) {
    ouro_status status = welcome_check(auth_key, hello, hello_len, packet, len, welcome);
    if (status != OURO_OK)
        memset(welcome, 0, sizeof *welcome);
    return status;
}

ouro_status ouro_handshake_session(ouro_session *session, ouro_role role,
                                   const ouro_credential *credential, const uint8_t *hello,
                                   size_t hello_len, const uint8_t welcome[OURO_WELCOME_SIZE],
                                   ouro_slot *slots, uint8_t reach) {
    uint8_t ikm[32], transcript[32], k_c2s[32], k_s2c[32];
    ouro_span parts[2] = {{hello, hello_len}, {welcome, OURO_WELCOME_SIZE}};
    const uint8_t *hello_body = hello + OURO_HEADER_SIZE;
    const uint8_t *welcome_body = welcome + OURO_HEADER_SIZE;
    ouro_status status = ouro_sha256(parts, 2, transcript);
    if (status == OURO_OK)
        status = ouro_session_ikm(credential->key, credential->epoch, ikm);
    if (status == OURO_OK)
        status = ouro_session_secrets(ikm, hello_body + 8, welcome_body, transcript, k_c2s, k_s2c);
    if (status == OURO_OK)
        status =
            ouro_session_init(session, role, load_u32(welcome + 4), k_c2s, k_s2c, slots, reach);
    if (status == OURO_OK) {
        bool client = role == OURO_CLIENT;
        session->tail.peer_reach = client ? welcome_body[16] : hello_body[24];
        session->tail.peer_max_body =
            client ? load_u16(welcome_body + 18) : load_u16(hello_body + 26);
    }
    ouro_erase(ikm, sizeof ikm);
    ouro_erase(k_c2s, sizeof k_c2s);
    ouro_erase(k_s2c, sizeof k_s2c);
    return status;
}
