/* The static pool that mbedTLS 2.28 takes its cipher contexts from; 3.6 needs none. */
#ifndef OURO_CRYPTO_POOL_H
#define OURO_CRYPTO_POOL_H

#include <stddef.h>

void crypto_pool_init(void);

/* The most that was taken at a time, headers of blocks included; 0 with 3.6. */
size_t crypto_pool_peak(void);
void crypto_pool_print(void);

#endif
