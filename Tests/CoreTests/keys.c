/*
 * No key is used twice with one nonce: the linker puts these in front of the engine's own calls
 * (--wrap), and a set keeps a fingerprint of each key and nonce that ever sealed a packet. The last
 * of them counts how often a window is asked where a counter stands.
 */
#include "crypto.h"
#include "net.h"
#include <string.h>

enum { SET = 1 << 17, CONTEXTS = 8 };

unsigned keys_repeated, keys_recorded, window_checks;

static uint64_t set[SET];
static struct {
    const ouro_aead *aead;
    uint64_t key;
} contexts[CONTEXTS];
static unsigned next_context;
static size_t newest;

static uint64_t fingerprint(uint64_t start, const uint8_t *data, size_t len) {
    uint64_t h = start ^ UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++) {
        h = (h ^ data[i]) * UINT64_C(0x100000001b3);
        h ^= h >> 29;
    }
    return h;
}

void keys_forget(void) {
    memset(set, 0, sizeof set);
    keys_repeated = keys_recorded = 0;
}

ouro_status __real_ouro_aead_init(ouro_aead *aead, const uint8_t key[32]);
ouro_status __wrap_ouro_aead_init(ouro_aead *aead, const uint8_t key[32]);
ouro_status __real_ouro_aead_seal(ouro_aead *aead, const uint8_t nonce[12], const uint8_t *aad,
                                  size_t aad_len, uint8_t *data, size_t len, uint8_t tag[16]);
ouro_status __wrap_ouro_aead_seal(ouro_aead *aead, const uint8_t nonce[12], const uint8_t *aad,
                                  size_t aad_len, uint8_t *data, size_t len, uint8_t tag[16]);

ouro_status __real_ouro_aead_seal_once(const uint8_t key[32], const uint8_t nonce[12],
                                       const uint8_t *aad, size_t aad_len, uint8_t *data,
                                       size_t len, uint8_t tag[16]);
ouro_status __wrap_ouro_aead_seal_once(const uint8_t key[32], const uint8_t nonce[12],
                                       const uint8_t *aad, size_t aad_len, uint8_t *data,
                                       size_t len, uint8_t tag[16]);

ouro_status __wrap_ouro_aead_init(ouro_aead *aead, const uint8_t key[32]) {
    unsigned at = next_context++ % CONTEXTS;
    for (unsigned i = 0; i < CONTEXTS; i++)
        if (contexts[i].aead == aead)
            at = i;
    contexts[at].aead = aead;
    contexts[at].key = fingerprint(0, key, 32);
    if (fault_now()) {
        ouro_aead_clear(aead);
        return OURO_ERR_CRYPTO;
    }
    return __real_ouro_aead_init(aead, key);
}

/* Nothing was sealed: the body and its tag are zero, as crypto.h has it. */
static ouro_status not_sealed(uint8_t *data, size_t len, uint8_t tag[16]) {
    ouro_erase(data, len);
    ouro_erase(tag, OURO_TAG_SIZE);
    return OURO_ERR_CRYPTO;
}

static void note(uint64_t key, const uint8_t nonce[12]) {
    uint64_t mark = fingerprint(key, nonce, 12) | 1;
    size_t at = (size_t)(mark >> 20) % SET;
    while (set[at] != 0 && set[at] != mark)
        at = (at + 1) % SET;
    if (key == 0 || set[at] == mark)
        keys_repeated++;
    if (set[at] == 0 && ++keys_recorded < SET / 2)
        set[at] = mark;
    newest = at;
}

void keys_not_sent(void) {
    set[newest] = 0;
}

ouro_status __wrap_ouro_aead_seal(ouro_aead *aead, const uint8_t nonce[12], const uint8_t *aad,
                                  size_t aad_len, uint8_t *data, size_t len, uint8_t tag[16]) {
    uint64_t key = 0;
    for (unsigned i = 0; i < CONTEXTS; i++)
        if (contexts[i].aead == aead)
            key = contexts[i].key;
    if (fault_now())
        return not_sealed(data, len, tag);
    note(key, nonce);
    return __real_ouro_aead_seal(aead, nonce, aad, aad_len, data, len, tag);
}

ouro_status __wrap_ouro_aead_seal_once(const uint8_t key[32], const uint8_t nonce[12],
                                       const uint8_t *aad, size_t aad_len, uint8_t *data,
                                       size_t len, uint8_t tag[16]) {
    if (fault_now())
        return not_sealed(data, len, tag);
    note(fingerprint(0, key, 32), nonce);
    return __real_ouro_aead_seal_once(key, nonce, aad, aad_len, data, len, tag);
}

ouro_status __real_ouro_window_check(const ouro_window *window, uint64_t counter,
                                     const uint8_t tag[16]);
ouro_status __wrap_ouro_window_check(const ouro_window *window, uint64_t counter,
                                     const uint8_t tag[16]);

ouro_status __wrap_ouro_window_check(const ouro_window *window, uint64_t counter,
                                     const uint8_t tag[16]) {
    window_checks++;
    return __real_ouro_window_check(window, counter, tag);
}
