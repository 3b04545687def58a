/* Section 2: what decodes, what does not, and that nothing is read past the length. */
#include "check.h"

#include "ouroboros/packet.h"
#include "ouroboros/scramble.h"
#include <stdlib.h>
#include <string.h>

static size_t build(uint8_t *packet, uint8_t type, uint8_t flags, uint16_t length,
                    uint64_t counter) {
    bool handshake = type == OURO_HELLO;
    ouro_header header = {type, flags, length, handshake ? 0 : 0x01020304, counter};
    memset(packet, 0, OURO_MAX_PACKET);
    ouro_packet_encode(&header, packet);
    return (size_t)OURO_OVERHEAD + length;
}

static ouro_status decode(uint8_t type, uint8_t flags, uint16_t length) {
    uint8_t packet[OURO_MAX_PACKET];
    ouro_header header;
    /* A HELLO of a fixed credential is for epoch 0. */
    uint64_t counter = type == OURO_HELLO ? 0 : 7;
    return ouro_packet_decode(packet, build(packet, type, flags, length, counter), OURO_MAX_BODY,
                              &header);
}

/* Compact framing's code and number, written out: none, or a code and 0 to 4, over datagrams. */
static bool hello_flags_fit(unsigned flags) {
    static const unsigned good[] = {0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x09,
                                    0x0a, 0x0b, 0x0d, 0x0e, 0x0f, 0x11, 0x12, 0x13};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if ((flags & 0x1f) == good[i])
            return (flags & 0x20) == 0 && ((flags & 0x80) == 0 || good[i] == 0);
    return false;
}

/* Every type with every flags and a choice of lengths, against the table written out anew. */
static bool allowed(unsigned type, unsigned flags, unsigned length) {
    unsigned acks = flags & OURO_FLAG_ACKS ? 16 : 0;
    if (type == OURO_DATA)
        return flags <= 15 && length >= acks + (flags & OURO_FLAG_ONCE ? 8u : 0) +
                                            (flags & OURO_FLAG_BATCH ? 2u : 0);
    if (type == OURO_HELLO)
        return hello_flags_fit(flags) && (length == 28 || length == 44);
    if (type == OURO_WELCOME)
        return (flags & 0x7f) == 0 && length == 20;
    if (flags != 0 && flags != OURO_FLAG_ACKS)
        return false;
    switch (type) {
    case OURO_ACK:
        return acks == 16 && length == 16;
    case OURO_NACK:
        return acks == 16 && length == 17;
    case OURO_PING:
    case OURO_PONG:
        return length >= acks && length <= acks + 64;
    case OURO_CLOSE:
        return length == acks + 9;
    default:
        return false;
    }
}

static void types_flags_lengths(void) {
    static const uint16_t lengths[] = {0,  1,  2,  7,  8,  9,  10, 15, 16, 17, 18, 20,   24,  25,
                                       26, 27, 28, 29, 44, 45, 64, 65, 79, 80, 81, 1199, 1200};
    for (unsigned type = 0; type < 16; type++)
        for (unsigned flags = 0; flags < 256; flags++)
            for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
                if (!CHECK_EQUAL(decode((uint8_t)type, (uint8_t)flags, lengths[i]) == OURO_OK,
                                 allowed(type, flags, lengths[i])))
                    return;
}

static void versions_and_ids(void) {
    uint8_t packet[OURO_MAX_PACKET];
    ouro_header header;
    size_t len = build(packet, OURO_DATA, 0, 4, 7);
    for (unsigned version = 0; version < 16; version++) {
        packet[0] = (uint8_t)(version << 4 | OURO_DATA);
        CHECK_EQUAL(ouro_packet_decode(packet, len, OURO_MAX_BODY, &header) == OURO_OK,
                    version == 1);
    }
    len = build(packet, OURO_PING, 0, 4, 7);
    memset(packet + 4, 0, 4);
    CHECK_EQUAL(ouro_packet_decode(packet, len, OURO_MAX_BODY, &header), OURO_DROP_MALFORMED);
    len = build(packet, OURO_HELLO, 0, 28, 0);
    packet[7] = 1;
    CHECK_EQUAL(ouro_packet_decode(packet, len, OURO_MAX_BODY, &header), OURO_DROP_MALFORMED);
    CHECK_EQUAL(ouro_packet_session_id(packet, 7), 0);
    CHECK_EQUAL(ouro_packet_session_id(packet, 8), 1);
}

static void counters_end_at_2_to_the_32(void) {
    uint8_t packet[OURO_MAX_PACKET];
    ouro_header header;
    size_t len = build(packet, OURO_PING, 0, 0, OURO_COUNTER_LIMIT - 1);
    CHECK_EQUAL(ouro_packet_decode(packet, len, OURO_MAX_BODY, &header), OURO_OK);
    len = build(packet, OURO_PING, 0, 0, OURO_COUNTER_LIMIT);
    CHECK_EQUAL(ouro_packet_decode(packet, len, OURO_MAX_BODY, &header), OURO_DROP_MALFORMED);
    /* A HELLO's is its epoch. */
    len = build(packet, OURO_HELLO, OURO_FLAG_EVOLVING, 28, UINT64_MAX);
    CHECK_EQUAL(ouro_packet_decode(packet, len, OURO_MAX_BODY, &header), OURO_OK);
    CHECK_EQUAL(header.counter, UINT64_MAX);
    /* Without EVOLVING that is 0. */
    packet[1] = 0;
    CHECK_EQUAL(ouro_packet_decode(packet, len, OURO_MAX_BODY, &header), OURO_DROP_MALFORMED);
}

static void own_max_body(void) {
    uint8_t packet[OURO_MAX_PACKET];
    ouro_header header;
    size_t len = build(packet, OURO_DATA, 0, 65, 0);
    CHECK_EQUAL(ouro_packet_decode(packet, len, 65, &header), OURO_OK);
    CHECK_EQUAL(ouro_packet_decode(packet, len, 64, &header), OURO_DROP_MALFORMED);
}

static ouro_flaw flaw_of(uint8_t type, uint8_t flags, uint16_t length, uint64_t counter,
                         size_t max_body) {
    uint8_t packet[OURO_MAX_PACKET];
    ouro_header header;
    size_t len = build(packet, type, flags, length, counter);
    ouro_flaw flaw = ouro_packet_examine(packet, len, max_body, &header);
    /* What stands there is told even when it is wrong. */
    CHECK_EQUAL(header.type, type & 0x0f);
    CHECK_EQUAL(header.flags, flags);
    CHECK_EQUAL(header.length, length);
    CHECK_EQUAL(header.counter, counter);
    return flaw;
}

static void flaws_are_told_apart(void) {
    CHECK_EQUAL(flaw_of(OURO_DATA, 0, 4, 7, 1200), OURO_FLAW_NONE);
    CHECK_EQUAL(flaw_of(0, 0, 4, 7, 1200), OURO_FLAW_TYPE);
    CHECK_EQUAL(flaw_of(9, 0, 4, 7, 1200), OURO_FLAW_TYPE);
    CHECK_EQUAL(flaw_of(OURO_DATA, 0x10, 4, 7, 1200), OURO_FLAW_FLAGS);
    CHECK_EQUAL(flaw_of(OURO_ACK, 0, 16, 7, 1200), OURO_FLAW_FLAG_MISSING);
    CHECK_EQUAL(flaw_of(OURO_ACK, OURO_FLAG_ACKS, 15, 7, 1200), OURO_FLAW_LENGTH);
    CHECK_EQUAL(flaw_of(OURO_DATA, 0, 65, 7, 64), OURO_FLAW_MAX_BODY);
    CHECK_EQUAL(flaw_of(OURO_HELLO, 0, 30, 7, 1200), OURO_FLAW_LENGTH);
    CHECK_EQUAL(flaw_of(OURO_DATA, 0, 4, OURO_COUNTER_LIMIT, 1200), OURO_FLAW_COUNTER);
    CHECK_EQUAL(flaw_of(OURO_HELLO, 0, 28, 7, 1200), OURO_FLAW_EPOCH);
    CHECK_EQUAL(flaw_of(OURO_HELLO, OURO_FLAG_STREAM | 0x01, 28, 0, 1200), OURO_FLAW_FLAGS);
    CHECK_EQUAL(flaw_of(OURO_WELCOME, OURO_FLAG_EVOLVING, 20, 0, 1200), OURO_FLAW_FLAGS);
    uint8_t packet[OURO_MAX_PACKET + 1] = {0};
    ouro_header header;
    size_t len = build(packet, OURO_DATA, 0, 4, 7);
    CHECK_EQUAL(ouro_packet_examine(packet, 31, 1200, &header), OURO_FLAW_SHORT);
    CHECK_EQUAL(ouro_packet_examine(packet, 15, 1200, &header), OURO_FLAW_SHORT);
    CHECK_EQUAL(header.length, 0);
    CHECK_EQUAL(ouro_packet_examine(packet, len + 1, 1200, &header), OURO_FLAW_SIZE);
    memset(packet + 4, 0, 4);
    CHECK_EQUAL(ouro_packet_examine(packet, len, 1200, &header), OURO_FLAW_SESSION);
    packet[0] = 0x21;
    CHECK_EQUAL(ouro_packet_examine(packet, len, 1200, &header), OURO_FLAW_VERSION);
    len = build(packet, OURO_DATA, 0, 1200, 7);
    packet[3]++;
    CHECK_EQUAL(ouro_packet_examine(packet, len + 1, 1200, &header), OURO_FLAW_LONG);
}

/* Each length is a heap block of its own size, so that a sanitizer sees a read past it. */
static void every_prefix(void) {
    uint8_t packet[OURO_MAX_PACKET];
    ouro_header header;
    size_t whole = build(packet, OURO_DATA, OURO_FLAG_ACKS, 40, 7);
    for (size_t len = 0; len <= whole + 1; len++) {
        uint8_t *copy = malloc(len + (len == 0));
        memset(copy, 0, len + (len == 0));
        memcpy(copy, packet, len < whole ? len : whole);
        CHECK_EQUAL(ouro_packet_decode(copy, len, OURO_MAX_BODY, &header) == OURO_OK, len == whole);
        free(copy);
    }
}

static void ack_blocks(void) {
    ouro_ack_block block = {70, 5};
    CHECK(ouro_ack_block_names(&block, 70));
    CHECK(ouro_ack_block_names(&block, 69));
    CHECK(!ouro_ack_block_names(&block, 68));
    CHECK(ouro_ack_block_names(&block, 67));
    CHECK(!ouro_ack_block_names(&block, 71));
    CHECK(!ouro_ack_block_names(&block, 0));
    /* A bit that would name a counter below 0 is senseless. */
    uint8_t body[16] = {0};
    ouro_header header = {OURO_ACK, OURO_FLAG_ACKS, 16, 1, 0};
    ouro_body parsed;
    body[7] = 3;
    body[15] = 7;
    CHECK_EQUAL(ouro_body_parse(&header, body, false, &parsed), OURO_OK);
    body[15] = 8;
    CHECK_EQUAL(ouro_body_parse(&header, body, false, &parsed), OURO_DROP_NONSENSE);
    /* In a stream nobody looks at it. */
    CHECK_EQUAL(ouro_body_parse(&header, body, true, &parsed), OURO_OK);
    CHECK_EQUAL(parsed.acks.highest, 3);
}

static void batches(void) {
    uint8_t batch[64];
    size_t len = 0;
    CHECK_EQUAL(ouro_batch_append(batch, sizeof batch, &len, (const uint8_t *)"ab", 2), OURO_OK);
    CHECK_EQUAL(ouro_batch_append(batch, sizeof batch, &len, NULL, 0), OURO_OK);
    CHECK_EQUAL(len, 6);
    CHECK_EQUAL(ouro_batch_append(batch, 7, &len, NULL, 0), OURO_ERR_TOO_LARGE);
    ouro_header header = {OURO_DATA, OURO_FLAG_BATCH, (uint16_t)len, 1, 0};
    ouro_body parsed;
    CHECK_EQUAL(ouro_body_parse(&header, batch, false, &parsed), OURO_OK);
    size_t offset = 0, item_len = 0;
    const uint8_t *item;
    CHECK(ouro_batch_next(batch, len, &offset, &item, &item_len));
    CHECK_EQUAL(item_len, 2);
    CHECK_BYTES(item, (const uint8_t *)"ab", 2);
    CHECK(ouro_batch_next(batch, len, &offset, &item, &item_len));
    CHECK_EQUAL(item_len, 0);
    CHECK(!ouro_batch_next(batch, len, &offset, &item, &item_len));
    for (uint16_t cut = 2; cut < len; cut++) {
        header.length = cut;
        CHECK_EQUAL(ouro_body_parse(&header, batch, false, &parsed) == OURO_OK, cut == 4);
    }
}

/* Scrambling is a permutation of places, its inverse undoes it, for every length. */
static void scramble_every_length(void) {
    uint8_t key[32], body[OURO_MAX_BODY], copy[OURO_MAX_BODY];
    memset(key, 3, sizeof key);
    for (size_t len = 0; len <= OURO_MAX_BODY; len++) {
        unsigned counts[256] = {0};
        for (size_t i = 0; i < len; i++)
            copy[i] = body[i] = (uint8_t)(i * 31 + i / 256);
        CHECK_EQUAL(ouro_scramble(key, body, len), OURO_OK);
        for (size_t i = 0; i < len; i++) {
            counts[body[i]]++;
            counts[copy[i]]--;
        }
        for (size_t i = 0; i < 256; i++)
            CHECK_EQUAL(counts[i], 0);
        if (len > 20)
            CHECK(memcmp(body, copy, len) != 0);
        CHECK_EQUAL(ouro_unscramble(key, body, len), OURO_OK);
        CHECK_BYTES(body, copy, len);
        key[len % 32]++;
    }
    CHECK_EQUAL(ouro_scramble(key, body, OURO_MAX_BODY + 1), OURO_ERR_ARGUMENT);
}

void packet_tests(void) {
    RUN(types_flags_lengths);
    RUN(versions_and_ids);
    RUN(counters_end_at_2_to_the_32);
    RUN(own_max_body);
    RUN(flaws_are_told_apart);
    RUN(every_prefix);
    RUN(ack_blocks);
    RUN(batches);
    RUN(scramble_every_length);
}
