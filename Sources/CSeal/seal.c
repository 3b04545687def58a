#include "seal.h"

#include "crypto.h"

ouro_status ouro_seal_anything(const uint8_t key[32], uint8_t *packet, size_t body_len) {
    ouro_aead aead;
    uint8_t *body = packet + OURO_HEADER_SIZE;
    ouro_status status = ouro_aead_init(&aead, key);
    /* The nonce is u32(session_id) || u64(counter), as they stand one after the other. */
    if (status == OURO_OK)
        status = ouro_aead_seal(&aead, packet + 4, packet, OURO_HEADER_SIZE, body, body_len,
                                body + body_len);
    ouro_aead_clear(&aead);
    return status;
}
