#include "packet_internal.h"

#include "bytes.h"
#include <string.h>

/* What section 2 says of a type: the flags it may carry, and its body without an ack block. */
typedef struct shape {
    uint8_t flags;    /* allowed */
    uint8_t required; /* flags that must be there */
    uint16_t min, max;
} shape;

static const shape shapes[] = {
    [OURO_DATA] = {OURO_FLAG_ACK_REQ | OURO_FLAG_ACKS | OURO_FLAG_BATCH | OURO_FLAG_ONCE, 0, 0,
                   OURO_MAX_BODY},
    [OURO_ACK] = {OURO_FLAG_ACKS, OURO_FLAG_ACKS, 0, 0},
    [OURO_NACK] = {OURO_FLAG_ACKS, OURO_FLAG_ACKS, 1, 1},
    [OURO_PING] = {OURO_FLAG_ACKS, 0, 0, OURO_PING_MAX},
    [OURO_PONG] = {OURO_FLAG_ACKS, 0, 0, OURO_PING_MAX},
    [OURO_HELLO] = {OURO_FLAG_STREAM | OURO_FLAG_EVOLVING | OURO_FLAG_COMPACT, 0, HELLO_BODY,
                    HELLO_BODY_MAX},
    [OURO_WELCOME] = {OURO_FLAG_STREAM, 0, WELCOME_BODY, WELCOME_BODY},
    [OURO_CLOSE] = {OURO_FLAG_ACKS, 0, 9, 9},
};

bool ouro_reach_fits(uint32_t reach) {
    return reach >= OURO_MIN_REACH && reach <= OURO_MAX_REACH;
}

bool ouro_terms_fit(uint32_t reach, uint32_t max_body) {
    return ouro_reach_fits(reach) && max_body >= OURO_MIN_MAX_BODY && max_body <= OURO_MAX_BODY;
}

static bool is_handshake(uint8_t type) {
    return type == OURO_HELLO || type == OURO_WELCOME;
}

/* Compact framing: over datagrams alone, a number of 0 to 4, and none without a code (section 2).
 */
static bool compact_fits(uint8_t flags) {
    unsigned code = flags & 0x03, number = (unsigned)(flags & 0x1c) >> 2;
    if (code == 0)
        return number == 0;
    return number <= 4 && !(flags & OURO_FLAG_STREAM);
}

/* HELLO and WELCOME have lengths and flags of their own. */
static ouro_flaw handshake_flaw(const ouro_header *h) {
    const shape *s = &shapes[h->type];
    if ((h->flags & ~s->flags) != 0)
        return OURO_FLAW_FLAGS;
    if (h->length != s->min && h->length != s->max)
        return OURO_FLAW_LENGTH;
    if (h->type == OURO_WELCOME)
        return OURO_FLAW_NONE;
    if (!compact_fits(h->flags))
        return OURO_FLAW_FLAGS;
    return h->counter == 0 || (h->flags & OURO_FLAG_EVOLVING) ? OURO_FLAW_NONE : OURO_FLAW_EPOCH;
}

static ouro_flaw shape_flaw(const ouro_header *h, size_t max_body) {
    const shape *s = &shapes[h->type];
    if ((h->flags & ~s->flags) != 0)
        return OURO_FLAW_FLAGS;
    if ((h->flags & s->required) != s->required)
        return OURO_FLAW_FLAG_MISSING;
    size_t fixed = (h->flags & OURO_FLAG_ACKS) ? OURO_ACK_BLOCK_SIZE : 0;
    size_t min = fixed + s->min;
    if (h->flags & OURO_FLAG_ONCE)
        min += OURO_ONCE_SIZE;
    if (h->flags & OURO_FLAG_BATCH)
        min += 2;
    if (h->length < min || h->length > fixed + s->max)
        return OURO_FLAW_LENGTH;
    return h->length <= max_body ? OURO_FLAW_NONE : OURO_FLAW_MAX_BODY;
}

static ouro_flaw examine(const uint8_t *packet, size_t len, size_t max_body, const ouro_header *h) {
    if (len < OURO_OVERHEAD)
        return OURO_FLAW_SHORT;
    if (packet[0] >> 4 != OURO_VERSION)
        return OURO_FLAW_VERSION;
    if (h->type == 0 || h->type >= sizeof shapes / sizeof shapes[0])
        return OURO_FLAW_TYPE;
    if (h->length > OURO_MAX_BODY)
        return OURO_FLAW_LONG;
    if (len != (size_t)OURO_OVERHEAD + h->length)
        return OURO_FLAW_SIZE;
    ouro_flaw flaw = is_handshake(h->type) ? handshake_flaw(h) : shape_flaw(h, max_body);
    if (flaw != OURO_FLAW_NONE)
        return flaw;
    if (h->type == OURO_HELLO ? h->session_id != 0 : h->type != OURO_WELCOME && h->session_id == 0)
        return OURO_FLAW_SESSION;
    if (!is_handshake(h->type) && h->counter >= OURO_COUNTER_LIMIT)
        return OURO_FLAW_COUNTER;
    return OURO_FLAW_NONE;
}

ouro_flaw ouro_packet_examine(const uint8_t *packet, size_t len, size_t max_body,
                              ouro_header *header) {
    memset(header, 0, sizeof *header);
    if (len >= OURO_HEADER_SIZE) {
        header->type = packet[0] & 0x0f;
        header->flags = packet[1];
        header->length = load_u16(packet + 2);
        header->session_id = load_u32(packet + 4);
        header->counter = load_u64(packet + 8);
    }
    return examine(packet, len, max_body, header);
}

ouro_status ouro_packet_decode(const uint8_t *packet, size_t len, size_t max_body,
                               ouro_header *header) {
    if (ouro_packet_examine(packet, len, max_body, header) == OURO_FLAW_NONE)
        return OURO_OK;
    memset(header, 0, sizeof *header);
    return OURO_DROP_MALFORMED;
}

void ouro_packet_encode(const ouro_header *header, uint8_t out[16]) {
    out[0] = (uint8_t)(OURO_VERSION << 4 | header->type);
    out[1] = header->flags;
    store_u16(out + 2, header->length);
    store_u32(out + 4, header->session_id);
    store_u64(out + 8, header->counter);
}

uint32_t ouro_packet_session_id(const uint8_t *packet, size_t len) {
    return len < 8 ? 0 : load_u32(packet + 4);
}

/* Bits of an ack block that would name a counter below 0 are 0. */
static bool block_parses(const ouro_ack_block *block) {
    return block->highest >= 64 || block->bitmap >> block->highest == 0;
}

ouro_status ouro_body_parse(const ouro_header *header, const uint8_t *body, bool stream,
                            ouro_body *out) {
    const uint8_t *p = body;
    size_t left = header->length;
    memset(out, 0, sizeof *out);
    if (header->flags & OURO_FLAG_ACKS) {
        out->has_acks = true;
        out->acks.highest = load_u64(p);
        out->acks.bitmap = load_u64(p + 8);
        if (!stream && !block_parses(&out->acks))
            return OURO_DROP_NONSENSE;
        p += OURO_ACK_BLOCK_SIZE;
        left -= OURO_ACK_BLOCK_SIZE;
    }
    if (header->flags & OURO_FLAG_ONCE) {
        out->once = true;
        out->box = load_u32(p);
        out->seq = load_u32(p + 4);
        if (out->box == 0)
            return OURO_DROP_NONSENSE;
        p += OURO_ONCE_SIZE;
        left -= OURO_ONCE_SIZE;
    }
    if (header->type == OURO_NACK || header->type == OURO_CLOSE)
        out->reason = p[0];
    if (header->type == OURO_CLOSE)
        out->sent = load_u64(p + 1);
    out->data = p;
    out->len = left;
    if ((header->flags & OURO_FLAG_BATCH) && !ouro_batch_fits(p, left))
        return OURO_DROP_NONSENSE;
    return OURO_OK;
}

bool ouro_ack_block_names(const ouro_ack_block *block, uint64_t counter) {
    if (counter >= block->highest)
        return counter == block->highest;
    uint64_t below = block->highest - 1 - counter;
    return below < 64 && ((block->bitmap >> below) & 1) != 0;
}

ouro_status ouro_batch_append(uint8_t *batch, size_t cap, size_t *len, const uint8_t *item,
                              size_t item_len) {
    if (item_len > OURO_MAX_BODY || *len > cap || cap - *len < item_len + 2)
        return OURO_ERR_TOO_LARGE;
    store_u16(batch + *len, (uint16_t)item_len);
    if (item_len > 0)
        memcpy(batch + *len + 2, item, item_len);
    *len += item_len + 2;
    return OURO_OK;
}

bool ouro_batch_next(const uint8_t *batch, size_t len, size_t *offset, const uint8_t **item,
                     size_t *item_len) {
    if (*offset > len || len - *offset < 2)
        return false;
    size_t size = load_u16(batch + *offset);
    if (len - *offset - 2 < size)
        return false;
    *item = batch + *offset + 2;
    *item_len = size;
    *offset += 2 + size;
    return true;
}

bool ouro_batch_fits(const uint8_t *batch, size_t len) {
    size_t offset = 0, item_len;
    const uint8_t *item;
    while (ouro_batch_next(batch, len, &offset, &item, &item_len))
        ;
    return len > 0 && offset == len;
}
