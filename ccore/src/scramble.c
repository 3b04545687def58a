#include "ouroboros/scramble.h"

#include "bytes.h"
#include "crypto.h"
#include "declassify.h"
#include "ouroboros/packet.h"
#include "ouroboros/secret.h"
#include "scramble_internal.h"
#include <string.h>

/*
 * `mirror` exchanges the pairs of the positions lo up to, not including, end, each if its bit is
 * set; `k` counts the pairs of the round. The bits are followed by OURO_STREAM_SPARE readable bytes
 * that are not used.
 */
#if UINTPTR_MAX > 0xffffffffu
/*
 * As many pairs are exchanged at once as a register has bytes. Byte i of a rising word is p[i], of
 * a falling one p[last - i]; written out so that compilers make one load or store of each.
 */
typedef uint64_t word;
#define EACH_BYTE UINT64_C(0x0101010101010101)
#define BIT_OF_BYTE UINT64_C(0x8040201008040201)
#define WORD_BYTES sizeof(word)

static uint32_t rising32(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_rising32(uint8_t *p, uint32_t w) {
    p[0] = (uint8_t)w;
    p[1] = (uint8_t)(w >> 8);
    p[2] = (uint8_t)(w >> 16);
    p[3] = (uint8_t)(w >> 24);
}

static word rising(const uint8_t *p) {
    return rising32(p) | (word)rising32(p + 4) << 32;
}

static void put_rising(uint8_t *p, word w) {
    put_rising32(p, (uint32_t)w);
    put_rising32(p + 4, (uint32_t)(w >> 32));
}

/* Byte i becomes 0xff where bit i is set, else 0. */
static word spread(word bits) {
    word lone = (bits * EACH_BYTE) & BIT_OF_BYTE;
    word one = ((lone + 0x7f * EACH_BYTE) >> 7) & EACH_BYTE;
    return one * 0xff;
}

static size_t mirror(uint8_t *body, size_t lo, size_t end, const uint8_t *bits, size_t k) {
    size_t pairs = (end - lo) / 2;
    uint8_t *up = body + lo, *down = body + end;
    for (; pairs >= WORD_BYTES; pairs -= WORD_BYTES, k += WORD_BYTES) {
        unsigned window = bits[k / 8] | ((unsigned)bits[k / 8 + 1] << 8);
        word mask = spread((window >> (k % 8)) & 0xff);
        down -= WORD_BYTES;
        word a = rising(up), b = load_u64(down);
        word swap = (a ^ b) & mask;
        put_rising(up, a ^ swap);
        store_u64(down, b ^ swap);
        up += WORD_BYTES;
    }
    for (; pairs > 0; pairs--, k++) {
        uint8_t mask = (uint8_t) - ((bits[k / 8] >> (k % 8)) & 1);
        down--;
        uint8_t swap = (uint8_t)((*up ^ *down) & mask);
        *up++ ^= swap;
        *down ^= swap;
    }
    return k;
}
#else
/*
 * Words would have to be put together from bytes on a core that makes no unaligned access: pairs
 * are exchanged one by one, four of them without a branch.
 */
#define SWAP(i)                                                                                    \
    do {                                                                                           \
        uint32_t a = up[i], b = down[-1 - (i)];                                                    \
        uint32_t swap = (a ^ b) & (0 - (window >> (i)&1u));                                        \
        up[i] = (uint8_t)(a ^ swap);                                                               \
        down[-1 - (i)] = (uint8_t)(b ^ swap);                                                      \
    } while (0)

enum { WINDOW = 24 };

static size_t mirror(uint8_t *body, size_t lo, size_t end, const uint8_t *bits, size_t k) {
    size_t pairs = (end - lo) / 2;
    uint8_t *up = body + lo, *down = body + end;
    while (pairs > 0) {
        const uint8_t *p = bits + k / 8;
        uint32_t window = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        size_t count = pairs < WINDOW ? pairs : WINDOW;
        window >>= k % 8;
        k += count;
        pairs -= count;
        for (; count >= 4; count -= 4, up += 4, down -= 4, window >>= 4) {
            SWAP(0);
            SWAP(1);
            SWAP(2);
            SWAP(3);
        }
        for (; count > 0; count--, up++, down--, window >>= 1)
            SWAP(0);
    }
    return k;
}
#endif

static void shuffle_round(uint8_t *body, size_t len, const uint8_t *stream) {
    declassify(stream, 4);
    size_t c = (size_t)(((uint64_t)load_u32(stream) * len) >> 32);
    size_t k = mirror(body, 0, c + 1, stream + 4, 0);
    (void)mirror(body, c + 1, len, stream + 4, k);
}

size_t ouro_scramble_stream_size(size_t len) {
    return len < 2 ? 0 : OURO_SCRAMBLE_ROUNDS * OURO_ROUND_BYTES(len);
}

void ouro_scramble_with(const uint8_t *stream, uint8_t *body, size_t len) {
    for (size_t round = 0; len >= 2 && round < OURO_SCRAMBLE_ROUNDS; round++)
        shuffle_round(body, len, stream + round * OURO_ROUND_BYTES(len));
}

/* As many whole rounds' keystream as fit are made at a time; then the spare bytes. */
enum { BUFFER = 160 };

static ouro_status shuffle(const uint8_t key[32], uint8_t *body, size_t len, bool backwards) {
    if (len > OURO_MAX_BODY)
        return OURO_ERR_ARGUMENT;
    if (len < 2)
        return OURO_OK;
    uint8_t buffer[BUFFER + OURO_STREAM_SPARE];
    const size_t portion = OURO_ROUND_BYTES(len);
    size_t group = BUFFER / portion;
    if (group > OURO_SCRAMBLE_ROUNDS)
        group = OURO_SCRAMBLE_ROUNDS;
    ouro_keystream stream;
    ouro_status status = ouro_keystream_init(&stream, key);
    for (size_t done = 0; status == OURO_OK && done < OURO_SCRAMBLE_ROUNDS;) {
        size_t left = OURO_SCRAMBLE_ROUNDS - done;
        size_t count = left < group ? left : group;
        size_t first = backwards ? left - count : done;
        status = ouro_keystream_read(&stream, first * portion, buffer, count * portion);
        memset(buffer + count * portion, 0, OURO_STREAM_SPARE);
        for (size_t i = 0; status == OURO_OK && i < count; i++)
            shuffle_round(body, len, buffer + (backwards ? count - 1 - i : i) * portion);
        done += count;
    }
    ouro_keystream_clear(&stream);
    ouro_erase(buffer, sizeof buffer);
    if (status != OURO_OK)
        ouro_erase(body, len);
    return status;
}

ouro_status ouro_scramble(const uint8_t key[32], uint8_t *body, size_t len) {
    return shuffle(key, body, len, false);
}

ouro_status ouro_unscramble(const uint8_t key[32], uint8_t *body, size_t len) {
    return shuffle(key, body, len, true);
}
