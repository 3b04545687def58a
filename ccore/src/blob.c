#include "ouroboros/blob.h"

#include "bytes.h"
#include "declassify.h"
#include <string.h>

/* Appendix C. */
enum {
    AT_FLAGS = 0,
    AT_ID = 1,
    AT_KEY = AT_ID + OURO_DEVICE_ID_SIZE,
    AT_EPOCH = AT_KEY + OURO_KEY_SIZE,
    EVOLVING = 0x01,
    SHORTS_SHIFT = 1,
    SHORTS_MOST = 7,
    FLAGS_ALL = EVOLVING | SHORTS_MOST << SHORTS_SHIFT,
    /* of the second part */
    AT_NAME_LEN = 2,
    AT_NAME = OURO_GATEWAY_HEAD,
    ERASED = 0xff,
    DELETE = 0x7f
};

const char *ouro_blob_flaw_text(ouro_blob_flaw flaw) {
    switch (flaw) {
    case OURO_BLOB_SOUND:
        return "is sound";
    case OURO_BLOB_LENGTH:
        return "is not 49 bytes long";
    case OURO_BLOB_FLAGS:
        return "has flags that mean nothing: it is no credential, or one of a later version";
    case OURO_BLOB_FIXED:
        return "is a fixed credential at an epoch other than 0";
    case OURO_BLOB_KEY:
        return "has a key of zeros: nothing was written there";
    case OURO_BLOB_PORT:
        return "has a gateway at port 0";
    case OURO_BLOB_NAME:
        return "has a gateway whose name is empty, cut, too long or no name";
    }
    return "has an unknown flaw";
}

void ouro_blob_write(const ouro_credential *credential, uint8_t blob[OURO_BLOB_SIZE]) {
    uint8_t shorts = credential->shorts < SHORTS_MOST ? credential->shorts : SHORTS_MOST;
    blob[AT_FLAGS] = credential->evolving ? (uint8_t)(EVOLVING | shorts << SHORTS_SHIFT) : 0;
    memcpy(blob + AT_ID, credential->device_id, OURO_DEVICE_ID_SIZE);
    memcpy(blob + AT_KEY, credential->key, OURO_KEY_SIZE);
    store_u64(blob + AT_EPOCH, credential->evolving ? credential->epoch : 0);
}

/* In the time of any other key. */
static bool is_nothing(const uint8_t key[OURO_KEY_SIZE]) {
    uint8_t any = 0;
    for (size_t i = 0; i < OURO_KEY_SIZE; i++)
        any = (uint8_t)(any | key[i]);
    declassify(&any, sizeof any);
    return any == 0;
}

static ouro_blob_flaw examine(const uint8_t *blob, size_t len) {
    if (len != OURO_BLOB_SIZE)
        return OURO_BLOB_LENGTH;
    if ((blob[AT_FLAGS] & ~FLAGS_ALL) != 0)
        return OURO_BLOB_FLAGS;
    if ((blob[AT_FLAGS] & EVOLVING) == 0 && (blob[AT_FLAGS] != 0 || load_u64(blob + AT_EPOCH) != 0))
        return OURO_BLOB_FIXED;
    return is_nothing(blob + AT_KEY) ? OURO_BLOB_KEY : OURO_BLOB_SOUND;
}

ouro_blob_flaw ouro_blob_read(const uint8_t *blob, size_t len, ouro_credential *credential) {
    memset(credential, 0, sizeof *credential);
    ouro_blob_flaw flaw = examine(blob, len);
    if (flaw != OURO_BLOB_SOUND)
        return flaw;
    credential->evolving = (blob[AT_FLAGS] & EVOLVING) != 0;
    credential->shorts = blob[AT_FLAGS] >> SHORTS_SHIFT;
    memcpy(credential->device_id, blob + AT_ID, OURO_DEVICE_ID_SIZE);
    memcpy(credential->key, blob + AT_KEY, OURO_KEY_SIZE);
    credential->epoch = load_u64(blob + AT_EPOCH);
    return flaw;
}

static bool all_are(const uint8_t *bytes, size_t len, uint8_t value) {
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

/* It is printed, and given to a resolver. */
static bool is_name(const uint8_t *name, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (name[i] <= ' ' || name[i] == DELETE)
            return false;
    return len > 0;
}

ouro_blob_flaw ouro_blob_gateway(const uint8_t *second, size_t len, ouro_gateway_name *gateway) {
    memset(gateway, 0, sizeof *gateway);
    if (len == 0)
        return OURO_BLOB_SOUND;
    if (len < AT_NAME)
        return OURO_BLOB_NAME;
    if (all_are(second, AT_NAME, ERASED) || all_are(second, AT_NAME, 0))
        return OURO_BLOB_SOUND;
    size_t name_len = second[AT_NAME_LEN];
    if (load_u16(second) == 0)
        return OURO_BLOB_PORT;
    if (name_len > OURO_GATEWAY_NAME_MAX || name_len > len - AT_NAME ||
        !is_name(second + AT_NAME, name_len))
        return OURO_BLOB_NAME;
    gateway->port = load_u16(second);
    memcpy(gateway->name, second + AT_NAME, name_len);
    return OURO_BLOB_SOUND;
}
