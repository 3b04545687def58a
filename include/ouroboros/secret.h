/* What is done with every secret: it is overwritten after use, and compared in constant time. */
#ifndef OUROBOROS_SECRET_H
#define OUROBOROS_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All keys are as long. */
#define OURO_KEY_SIZE 32

/* Overwrites a secret in a way that the compiler does not leave out. */
void ouro_erase(void *secret, size_t len);

/* True if both are the same; the time taken depends on `len` alone. */
bool ouro_equal(const uint8_t *a, const uint8_t *b, size_t len);

#ifdef __cplusplus
}
#endif

#endif
