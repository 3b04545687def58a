/*
 * A credential as bytes (appendix C): the form in which a device is given it and keeps it, the same
 * on every platform and for every compiler, as ouro_credential itself is not. It holds the key:
 * erase each copy, and keep the stored one where others cannot read.
 */
#ifndef OUROBOROS_BLOB_H
#define OUROBOROS_BLOB_H

#include "ouroboros/ratchet.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OURO_BLOB_SIZE 49
/* A name in the DNS is no longer. */
#define OURO_GATEWAY_NAME_MAX 253
/* With the second part, at most: the gateway's port, the length of its name, and the name. */
#define OURO_GATEWAY_HEAD 3
#define OURO_BLOB_MAX (OURO_BLOB_SIZE + OURO_GATEWAY_HEAD + OURO_GATEWAY_NAME_MAX)

/* The first thing that is wrong, for those who have to tell people. */
typedef enum ouro_blob_flaw {
    OURO_BLOB_SOUND = 0,
    OURO_BLOB_LENGTH, /* not 49 bytes */
    OURO_BLOB_FLAGS,  /* a flag that means nothing: erased flash, text, or a later version */
    OURO_BLOB_FIXED,  /* a fixed credential with an epoch or with short sessions */
    OURO_BLOB_KEY,    /* a key of zeros: memory that nothing was written to */
    OURO_BLOB_PORT,   /* the gateway's port is 0 */
    OURO_BLOB_NAME /* its name is empty, cut or too long, or holds a blank or a control character */
} ouro_blob_flaw;

/* What is wrong, in English, for the end of a sentence; never NULL. */
const char *ouro_blob_flaw_text(ouro_blob_flaw flaw);

/* A client's whole credential, which can be stored in one write (OURO_EVENT_EPOCH). */
void ouro_blob_write(const ouro_credential *credential, uint8_t blob[OURO_BLOB_SIZE]);

/* The credential of a blob of `len` bytes; all zeros where it has a flaw. */
OURO_CHECKED ouro_blob_flaw ouro_blob_read(const uint8_t *blob, size_t len,
                                           ouro_credential *credential);

/* Where a device's gateway is; port 0 and an empty name: it was not told. */
typedef struct ouro_gateway_name {
    uint16_t port;
    char name[OURO_GATEWAY_NAME_MAX + 1];
} ouro_gateway_name;

/*
 * The second part of a blob, which begins behind its 49 bytes and ends with the name: `len` may be
 * more, as where flash is read. No bytes, and 3 that are erased or all zeros, tell no gateway.
 */
OURO_CHECKED ouro_blob_flaw ouro_blob_gateway(const uint8_t *second, size_t len,
                                              ouro_gateway_name *gateway);

#ifdef __cplusplus
}
#endif

#endif
