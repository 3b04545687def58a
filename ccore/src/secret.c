#include "ouroboros/secret.h"

#include <string.h>

void ouro_erase(void *secret, size_t len) {
#if defined(__GNUC__) || defined(__clang__)
    if (len == 0)
        return;
    /* The barrier makes the compiler believe that somebody reads the zeros. */
    memset(secret, 0, len);
    __asm__ __volatile__("" : : "r"(secret) : "memory");
#else
    volatile uint8_t *p = secret;
    while (len-- > 0)
        *p++ = 0;
#endif
}

bool ouro_equal(const uint8_t *a, const uint8_t *b, size_t len) {
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < len; i++)
        difference = (uint8_t)(difference | (a[i] ^ b[i]));
    return difference == 0;
}
