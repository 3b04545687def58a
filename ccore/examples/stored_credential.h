/*
 * A credential that a board finds in its non-volatile memory: the blob of 49 bytes (appendix C of
 * docs/PROTOCOL.md), or the engine's struct, which sensors stored before there was the blob.
 */
#ifndef STORED_CREDENTIAL_H
#define STORED_CREDENTIAL_H

#include "ouroboros/ouroboros.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Room for either. */
#define STORED_CREDENTIAL_MAX sizeof(ouro_credential)

/* All zeros where it has a flaw. What is stored next is a blob. */
ouro_blob_flaw stored_credential_read(const uint8_t *bytes, size_t len,
                                      ouro_credential *credential);

#ifdef __cplusplus
}
#endif

#endif
