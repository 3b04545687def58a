/* The one thing of the crypto backend that callers give room to. */
#ifndef OUROBOROS_AEAD_H
#define OUROBOROS_AEAD_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An expanded AES-256-GCM key; the crypto backend's own storage. */
typedef struct ouro_aead {
    uint64_t opaque[80];
} ouro_aead;

#ifdef __cplusplus
}
#endif

#endif
