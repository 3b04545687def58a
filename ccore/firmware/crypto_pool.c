#include "crypto_pool.h"

#include <mbedtls/version.h>
#include <stdio.h>

#ifdef MBEDTLS_MEMORY_BUFFER_ALLOC_C
#include <mbedtls/memory_buffer_alloc.h>
#include <stdint.h>

static uint64_t pool[256];

void crypto_pool_init(void) {
    mbedtls_memory_buffer_alloc_init((unsigned char *)pool, sizeof pool);
}

size_t crypto_pool_peak(void) {
    size_t used = 0, blocks = 0;
    mbedtls_memory_buffer_alloc_max_get(&used, &blocks);
    return used;
}
#else
void crypto_pool_init(void) {
}

size_t crypto_pool_peak(void) {
    return 0;
}
#endif

void crypto_pool_print(void) {
    printf("crypto pool: %lu bytes at the most\n", (unsigned long)crypto_pool_peak());
}
