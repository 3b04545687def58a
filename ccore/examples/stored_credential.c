#include "stored_credential.h"

#include <stddef.h>
#include <string.h>

ouro_blob_flaw stored_credential_read(const uint8_t *bytes, size_t len,
                                      ouro_credential *credential) {
    uint8_t blob[OURO_BLOB_SIZE];
    if (len != sizeof *credential)
        return ouro_blob_read(bytes, len, credential);
    memset(credential, 0, sizeof *credential);
    /* Another value is no bool. */
    if (bytes[offsetof(ouro_credential, evolving)] > 1)
        return OURO_BLOB_FLAGS;
    memcpy(credential, bytes, sizeof *credential);
    ouro_blob_write(credential, blob);
    ouro_blob_flaw flaw = ouro_blob_read(blob, sizeof blob, credential);
    ouro_erase(blob, sizeof blob);
    return flaw;
}
