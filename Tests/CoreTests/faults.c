/*
 * One call of the crypto library fails, once, as hardware that is busy does: the linker puts these
 * in front of the engine's own calls (--wrap), as it does those of keys.c.
 */
#include "crypto.h"
#include "net.h"
#include <string.h>

uint64_t fault_at = OURO_NEVER, fault_calls;
bool fault_stays;
void (*fault_secret)(const uint8_t key[32]);

bool fault_now(void) {
    uint64_t call = fault_calls++;
    return call == fault_at || (fault_stays && call > fault_at);
}

ouro_status __real_ouro_hmac_init(ouro_hmac *hmac, const uint8_t key[32]);
ouro_status __wrap_ouro_hmac_init(ouro_hmac *hmac, const uint8_t key[32]);
ouro_status __real_ouro_hmac_mac(const ouro_hmac *hmac, const ouro_span *parts, size_t count,
                                 uint8_t mac[32]);
ouro_status __wrap_ouro_hmac_mac(const ouro_hmac *hmac, const ouro_span *parts, size_t count,
                                 uint8_t mac[32]);
ouro_status __real_ouro_sha256(const ouro_span *parts, size_t count, uint8_t digest[32]);
ouro_status __wrap_ouro_sha256(const ouro_span *parts, size_t count, uint8_t digest[32]);
ouro_status __real_ouro_aead_open(ouro_aead *aead, const uint8_t nonce[12], const uint8_t *aad,
                                  size_t aad_len, uint8_t *data, size_t len, const uint8_t tag[16]);
ouro_status __wrap_ouro_aead_open(ouro_aead *aead, const uint8_t nonce[12], const uint8_t *aad,
                                  size_t aad_len, uint8_t *data, size_t len, const uint8_t tag[16]);
ouro_status __real_ouro_aead_open_once(const uint8_t key[32], const uint8_t nonce[12],
                                       const uint8_t *aad, size_t aad_len, uint8_t *data,
                                       size_t len, const uint8_t tag[16]);
ouro_status __wrap_ouro_aead_open_once(const uint8_t key[32], const uint8_t nonce[12],
                                       const uint8_t *aad, size_t aad_len, uint8_t *data,
                                       size_t len, const uint8_t tag[16]);
ouro_status __real_ouro_keystream_init(ouro_keystream *stream, const uint8_t key[32]);
ouro_status __wrap_ouro_keystream_init(ouro_keystream *stream, const uint8_t key[32]);
ouro_status __real_ouro_keystream_read(ouro_keystream *stream, size_t offset, uint8_t *out,
                                       size_t len);
ouro_status __wrap_ouro_keystream_read(ouro_keystream *stream, size_t offset, uint8_t *out,
                                       size_t len);

/* What a call that fails leaves behind, by crypto.h: nothing. */
static ouro_status failed(void *out, size_t len) {
    ouro_erase(out, len);
    return OURO_ERR_CRYPTO;
}

ouro_status __wrap_ouro_hmac_init(ouro_hmac *hmac, const uint8_t key[32]) {
    if (fault_secret != NULL)
        fault_secret(key);
    return fault_now() ? failed(hmac, sizeof *hmac) : __real_ouro_hmac_init(hmac, key);
}

ouro_status __wrap_ouro_hmac_mac(const ouro_hmac *hmac, const ouro_span *parts, size_t count,
                                 uint8_t mac[32]) {
    ouro_status status =
        fault_now() ? failed(mac, 32) : __real_ouro_hmac_mac(hmac, parts, count, mac);
    if (fault_secret != NULL)
        fault_secret(mac);
    return status;
}

ouro_status __wrap_ouro_sha256(const ouro_span *parts, size_t count, uint8_t digest[32]) {
    return fault_now() ? failed(digest, 32) : __real_ouro_sha256(parts, count, digest);
}

ouro_status __wrap_ouro_aead_open(ouro_aead *aead, const uint8_t nonce[12], const uint8_t *aad,
                                  size_t aad_len, uint8_t *data, size_t len,
                                  const uint8_t tag[16]) {
    return fault_now() ? failed(data, len)
                       : __real_ouro_aead_open(aead, nonce, aad, aad_len, data, len, tag);
}

ouro_status __wrap_ouro_aead_open_once(const uint8_t key[32], const uint8_t nonce[12],
                                       const uint8_t *aad, size_t aad_len, uint8_t *data,
                                       size_t len, const uint8_t tag[16]) {
    return fault_now() ? failed(data, len)
                       : __real_ouro_aead_open_once(key, nonce, aad, aad_len, data, len, tag);
}

/* A body that was sealed and is not scrambled is zeroed. */
static bool scramble_fails(void) {
    bool fails = fault_now();
    if (fails)
        keys_not_sent();
    return fails;
}

ouro_status __wrap_ouro_keystream_init(ouro_keystream *stream, const uint8_t key[32]) {
    return scramble_fails() ? failed(stream, sizeof *stream)
                            : __real_ouro_keystream_init(stream, key);
}

ouro_status __wrap_ouro_keystream_read(ouro_keystream *stream, size_t offset, uint8_t *out,
                                       size_t len) {
    return scramble_fails() ? failed(out, len)
                            : __real_ouro_keystream_read(stream, offset, out, len);
}
