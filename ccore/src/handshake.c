#include "handshake_internal.h"

#include "bytes.h"
#include "crypto.h"
#include "declassify.h"
#include "packet_internal.h"
#include <string.h>

/* In the body of a HELLO, past the nonce: what the client advertises, a challenge. */
enum { HELLO_REACH = 24, HELLO_TOP = 25, HELLO_MAX_BODY = 26, HELLO_CHALLENGE = 28 };
/* In that of a WELCOME, past the nonce: what the server advertises. */
enum { WELCOME_REACH = 16, WELCOME_TOP = 17, WELCOME_MAX_BODY = 18 };

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

static uint8_t hello_flags(const ouro_hello *hello) {
    return (uint8_t)((hello->stream ? OURO_FLAG_STREAM : 0) |
                     (hello->evolving ? OURO_FLAG_EVOLVING : 0) |
                     (hello->compact & OURO_FLAG_COMPACT));
}

ouro_status ouro_hello_write(const ouro_hello *hello, const uint8_t auth_key[32],
                             uint8_t packet[OURO_HELLO_MAX], size_t *len) {
    ouro_header header = {OURO_HELLO, hello_flags(hello),
                          (uint16_t)(hello->has_challenge ? HELLO_BODY_MAX : HELLO_BODY), 0,
                          hello->epoch};
    if (!ouro_terms_fit(hello->reach, hello->max_body) || (hello->epoch != 0 && !hello->evolving))
        return OURO_ERR_ARGUMENT;
    ouro_packet_encode(&header, packet);
    uint8_t *p = packet + OURO_HEADER_SIZE;
    memcpy(p, hello->device_id, OURO_DEVICE_ID_SIZE);
    memcpy(p + HELLO_NONCE, hello->nonce, OURO_NONCE_SIZE);
    p[HELLO_REACH] = hello->reach;
    p[HELLO_TOP] = hello->top;
    store_u16(p + HELLO_MAX_BODY, hello->max_body);
    if (hello->has_challenge)
        memcpy(p + HELLO_CHALLENGE, hello->challenge, OURO_CHALLENGE_SIZE);
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
    memcpy(hello->nonce, p + HELLO_NONCE, OURO_NONCE_SIZE);
    hello->epoch = header.counter;
    hello->stream = (header.flags & OURO_FLAG_STREAM) != 0;
    hello->evolving = (header.flags & OURO_FLAG_EVOLVING) != 0;
    hello->compact = header.flags & OURO_FLAG_COMPACT;
    hello->reach = p[HELLO_REACH];
    hello->top = p[HELLO_TOP];
    hello->max_body = load_u16(p + HELLO_MAX_BODY);
    hello->has_challenge = header.length == HELLO_BODY_MAX;
    if (hello->has_challenge)
        memcpy(hello->challenge, p + HELLO_CHALLENGE, OURO_CHALLENGE_SIZE);
    return ouro_terms_fit(hello->reach, hello->max_body) ? OURO_OK : OURO_DROP_MALFORMED;
}

static bool is_hello_size(size_t len) {
    return len == OURO_HELLO_SIZE || len == OURO_HELLO_MAX;
}

ouro_status ouro_hello_verify(const uint8_t auth_key[32], const uint8_t *packet, size_t len) {
    uint8_t tag[16];
    if (!is_hello_size(len))
        return OURO_ERR_ARGUMENT;
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
    if (!is_hello_size(hello_len))
        return OURO_ERR_ARGUMENT;
    ouro_header header = {OURO_WELCOME, welcome->stream ? OURO_FLAG_STREAM : 0, WELCOME_BODY,
                          welcome->session_id, welcome->epoch};
    ouro_packet_encode(&header, packet);
    uint8_t *p = packet + OURO_HEADER_SIZE;
    memcpy(p, welcome->nonce, OURO_NONCE_SIZE);
    p[WELCOME_REACH] = welcome->reach;
    p[WELCOME_TOP] = welcome->top;
    store_u16(p + WELCOME_MAX_BODY, welcome->max_body);
    return welcome_tag(auth_key, hello, hello_len, packet, p + WELCOME_BODY);
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
    welcome->stream = (header.flags & OURO_FLAG_STREAM) != 0;
    memcpy(welcome->nonce, p, OURO_NONCE_SIZE);
    welcome->reach = p[WELCOME_REACH];
    welcome->top = p[WELCOME_TOP];
    welcome->max_body = load_u16(p + WELCOME_MAX_BODY);
    bool challenge = welcome->session_id == 0;
    bool fits = challenge ? welcome->reach == 0 && welcome->max_body == 0
                          : ouro_terms_fit(welcome->reach, welcome->max_body);
    return fits ? OURO_OK : OURO_DROP_MALFORMED;
}

static ouro_status welcome_check(const uint8_t auth_key[32], const uint8_t *hello, size_t hello_len,
                                 const uint8_t *packet, size_t len, ouro_welcome *welcome) {
    uint8_t tag[16];
    ouro_status status = ouro_welcome_parse(packet, len, welcome);
    /* A WELCOME carries the epoch of the HELLO that it answers. */
    if (status == OURO_OK && welcome->epoch != load_u64(hello + 8))
        status = OURO_DROP_MALFORMED;
    if (status == OURO_OK && welcome->stream != ((hello[1] & OURO_FLAG_STREAM) != 0))
        status = OURO_DROP_TRANSPORT;
    if (status == OURO_OK)
        status = welcome_tag(auth_key, hello, hello_len, packet, tag);
    if (status == OURO_OK && !is_right(tag, packet + OURO_WELCOME_SIZE - OURO_TAG_SIZE))
        status = OURO_DROP_AUTH;
    return status;
}

ouro_status ouro_welcome_read(const uint8_t auth_key[32], const uint8_t *hello, size_t hello_len,
                              const uint8_t *packet, size_t len, ouro_welcome *welcome) {
    if (!is_hello_size(hello_len))
        return OURO_ERR_ARGUMENT;
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
    if (!is_hello_size(hello_len))
        return OURO_ERR_ARGUMENT;
    ouro_status status = ouro_sha256(parts, 2, transcript);
    if (status == OURO_OK)
        status = ouro_session_ikm(credential->key, credential->epoch, ikm);
    if (status == OURO_OK)
        status = ouro_session_secrets(ikm, ouro_hello_nonce(hello), welcome_body, transcript, k_c2s,
                                      k_s2c);
    if (status == OURO_OK)
        status =
            ouro_session_init(session, role, load_u32(welcome + 4), k_c2s, k_s2c, slots, reach);
    if (status == OURO_OK) {
        bool client = role == OURO_CLIENT;
        session->tail.peer_reach = client ? welcome_body[WELCOME_REACH] : hello_body[HELLO_REACH];
        session->tail.peer_max_body =
            load_u16(client ? welcome_body + WELCOME_MAX_BODY : hello_body + HELLO_MAX_BODY);
    }
    ouro_erase(ikm, sizeof ikm);
    ouro_erase(k_c2s, sizeof k_c2s);
    ouro_erase(k_s2c, sizeof k_s2c);
    return status;
}
