/* Hex to bytes, for vectors that stand in a test. */
#ifndef HEX_H
#define HEX_H

#include <stddef.h>
#include <stdint.h>

/* Returns the number of bytes written; the text is known to be well formed. */
static inline size_t from_hex(const char *text, uint8_t *out) {
    size_t len = 0;
    for (; text[0] != 0 && text[1] != 0; text += 2) {
        uint8_t byte = 0;
        for (int i = 0; i < 2; i++)
            byte = (uint8_t)(byte << 4 | (text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10));
        out[len++] = byte;
    }
    return len;
}

#endif
