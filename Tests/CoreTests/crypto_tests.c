/* The crypto backend against published vectors: RFC 4231, RFC 5869, the GCM specification. */
#include "check.h"
#include "crypto.h"
#include "hex.h"
#include "ouroboros/ratchet.h"

#include <string.h>

static const char *long_data = "This is a test using a larger than block-size key and a larger "
                               "than block-size data. The key needs to be hashed before being "
                               "used by the HMAC algorithm.";

static void mac_of(const uint8_t key[32], const ouro_span *parts, size_t count, uint8_t mac[32]) {
    ouro_hmac hmac;
    CHECK_EQUAL(ouro_hmac_init(&hmac, key), OURO_OK);
    CHECK_EQUAL(ouro_hmac_mac(&hmac, parts, count, mac), OURO_OK);
    ouro_hmac_clear(&hmac);
}

/* Keys shorter than a block are padded with zeros, longer ones hashed: both fit 32 bytes here. */
static void expect_mac(const uint8_t *key, size_t key_len, const void *data, size_t len,
                       const char *want) {
    uint8_t padded[32] = {0}, mac[32], expected[32];
    ouro_span parts[2] = {{data, len / 2}, {(const uint8_t *)data + len / 2, len - len / 2}};
    ouro_span long_key = {key, key_len};
    if (key_len > 64)
        CHECK_EQUAL(ouro_sha256(&long_key, 1, padded), OURO_OK);
    else
        memcpy(padded, key, key_len);
    mac_of(padded, parts, 2, mac);
    from_hex(want, expected);
    CHECK_BYTES(mac, expected, 32);
}

static void rfc_4231(void) {
    uint8_t key[131], data[50];
    memset(key, 0x0b, sizeof key);
    expect_mac(key, 20, "Hi There", 8,
               "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    expect_mac((const uint8_t *)"Jefe", 4, "what do ya want for nothing?", 28,
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    memset(data, 0xdd, sizeof data);
    expect_mac(key, 20, data, 50,
               "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    for (uint8_t i = 0; i < 25; i++)
        key[i] = (uint8_t)(i + 1);
    memset(data, 0xcd, sizeof data);
    expect_mac(key, 25, data, 50,
               "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
    memset(key, 0xaa, sizeof key);
    expect_mac(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    expect_mac(key, 131, long_data, strlen(long_data),
               "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

/* Extract and the blocks of Expand, as the ratchet builds them. */
static void hkdf(const uint8_t *salt, size_t salt_len, const uint8_t *ikm, size_t ikm_len,
                 const uint8_t *info, size_t info_len, const char *prk_hex, const char *okm_hex) {
    uint8_t key[32] = {0}, prk[32], want[96], okm[96], block[32];
    ouro_span salt_span = {salt, salt_len}, ikm_span = {ikm, ikm_len};
    if (salt_len > 64)
        CHECK_EQUAL(ouro_sha256(&salt_span, 1, key), OURO_OK);
    else if (salt_len > 0)
        memcpy(key, salt, salt_len);
    mac_of(key, &ikm_span, 1, prk);
    from_hex(prk_hex, want);
    CHECK_BYTES(prk, want, 32);
    size_t len = from_hex(okm_hex, want);
    for (uint8_t i = 1; (size_t)(i - 1) * 32 < len; i++) {
        ouro_span parts[3] = {{block, i == 1 ? 0 : 32}, {info, info_len}, {&i, 1}};
        uint8_t next[32];
        mac_of(prk, parts, 3, next);
        memcpy(block, next, 32);
        memcpy(okm + (size_t)(i - 1) * 32, block, 32);
    }
    CHECK_BYTES(okm, want, len);
}

static void rfc_5869(void) {
    uint8_t ikm[80], salt[80], info[80];
    memset(ikm, 0x0b, 22);
    for (uint8_t i = 0; i < 80; i++) {
        salt[i] = i;
        info[i] = (uint8_t)(0xf0 + i);
    }
    hkdf(salt, 13, ikm, 22, info, 10,
         "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    hkdf(salt, 0, ikm, 22, info, 0,
         "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
    for (uint8_t i = 0; i < 80; i++) {
        ikm[i] = i;
        salt[i] = (uint8_t)(0x60 + i);
        info[i] = (uint8_t)(0xb0 + i);
    }
    hkdf(
        salt, 80, ikm, 80, info, 80,
        "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e"
        "590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
}

static void gcm(const char *key_hex, const char *nonce_hex, const char *aad_hex,
                const char *plain_hex, const char *cipher_hex, const char *tag_hex) {
    uint8_t key[32], nonce[12], aad[32], plain[64], cipher[64], want_tag[16], data[64], tag[16];
    from_hex(key_hex, key);
    from_hex(nonce_hex, nonce);
    from_hex(cipher_hex, cipher);
    from_hex(tag_hex, want_tag);
    size_t aad_len = from_hex(aad_hex, aad), len = from_hex(plain_hex, plain);
    memcpy(data, plain, len);
    ouro_aead aead;
    CHECK_EQUAL(ouro_aead_init(&aead, key), OURO_OK);
    CHECK_EQUAL(ouro_aead_seal(&aead, nonce, aad, aad_len, data, len, tag), OURO_OK);
    CHECK_BYTES(data, cipher, len);
    CHECK_BYTES(tag, want_tag, 16);
    CHECK_EQUAL(ouro_aead_open(&aead, nonce, aad, aad_len, data, len, tag), OURO_OK);
    CHECK_BYTES(data, plain, len);
    /* A wrong tag leaves nothing of the plaintext. */
    static const uint8_t zeros[64];
    memcpy(data, cipher, len);
    tag[15] ^= 1;
    CHECK_EQUAL(ouro_aead_open(&aead, nonce, aad, aad_len, data, len, tag), OURO_DROP_AUTH);
    CHECK_BYTES(data, zeros, len);
    ouro_aead_clear(&aead);
}

/* Test cases 13 to 16 of McGrew and Viega, the AES-256 ones with a nonce of 12 bytes. */
static void gcm_specification(void) {
    static const char *zero_key =
        "0000000000000000000000000000000000000000000000000000000000000000";
    static const char *zero_nonce = "000000000000000000000000";
    static const char *key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    static const char *nonce = "cafebabefacedbaddecaf888";
    gcm(zero_key, zero_nonce, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b");
    gcm(zero_key, zero_nonce, "", "00000000000000000000000000000000",
        "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919");
    gcm(key, nonce, "",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449"
        "a6b525b16aedf5aa0de657ba637b391aafd255",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056"
        "828838c5f61e6393ba7a0abcc9f662898015ad",
        "b094dac5d93471bdec1a502270e3cc6c");
    gcm(key, nonce, "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449"
        "a6b525b16aedf5aa0de657ba637b39",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056"
        "828838c5f61e6393ba7a0abcc9f662",
        "76fc6ece0f4e1768cddf8853bb2d551b");
}

/* Any part of a keystream is the same bytes as in one piece, whatever block it starts in. */
static void keystream_parts(void) {
    uint8_t key[32], whole[200], part[200];
    memset(key, 7, sizeof key);
    ouro_keystream stream;
    CHECK_EQUAL(ouro_keystream_init(&stream, key), OURO_OK);
    CHECK_EQUAL(ouro_keystream_read(&stream, 0, whole, sizeof whole), OURO_OK);
    for (size_t from = 0; from < 70; from++)
        for (size_t len = 0; from + len <= 120; len += 5) {
            CHECK_EQUAL(ouro_keystream_read(&stream, from, part, len), OURO_OK);
            CHECK_BYTES(part, whole + from, len);
        }
    ouro_keystream_clear(&stream);
}

static void erase_and_compare(void) {
    uint8_t a[33], b[33];
    memset(a, 5, sizeof a);
    memset(b, 5, sizeof b);
    CHECK(ouro_equal(a, b, sizeof a));
    for (size_t i = 0; i < sizeof a; i++) {
        b[i] ^= 0x80;
        CHECK(!ouro_equal(a, b, sizeof a));
        b[i] ^= 0x80;
    }
    static const uint8_t zeros[33];
    ouro_erase(a, sizeof a);
    CHECK_BYTES(a, zeros, sizeof a);
}

/* Section 3, freshness: HMAC-SHA256 of another implementation, the first 16 bytes. */
static void counted_nonces(void) {
    static const struct {
        uint64_t count;
        const char *nonce;
    } rows[] = {{1, "3de667fe8be7a45fd047b7a906a7e952"},
                {2, "aeb8faf529ec4a7a40c050a5b1ce2044"},
                {UINT64_C(1) << 40, "ebadd33b3884aa38f6bdd76287ee6f09"}};
    uint8_t key[32], randomness[16], nonce[16], want[16];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof randomness; i++)
        randomness[i] = (uint8_t)(100 + i);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CHECK(ouro_counted_nonce(key, rows[i].count, randomness, nonce) == OURO_OK);
        from_hex(rows[i].nonce, want);
        CHECK_BYTES(nonce, want, sizeof want);
    }
}

void crypto_tests(void) {
    RUN(rfc_4231);
    RUN(rfc_5869);
    RUN(gcm_specification);
    RUN(keystream_parts);
    RUN(erase_and_compare);
    RUN(counted_nonces);
}
