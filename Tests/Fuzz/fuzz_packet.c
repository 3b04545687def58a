/* Decoding, and taking apart a body that was opened. */
#include "ouroboros/ouroboros.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool condition) {
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ouro_header header;
    ouro_body body;
    if (ouro_packet_decode(data, size, OURO_MAX_BODY, &header) != OURO_OK)
        return 0;
    need(size == (size_t)OURO_OVERHEAD + header.length);
    uint8_t again[OURO_HEADER_SIZE];
    ouro_packet_encode(&header, again);
    need(memcmp(again, data, sizeof again) == 0);
    if (header.type == OURO_HELLO || header.type == OURO_WELCOME)
        return 0;
    const uint8_t *opened = data + OURO_HEADER_SIZE;
    if (ouro_body_parse(&header, opened, (data[size - 1] & 1) != 0, &body) != OURO_OK)
        return 0;
    need(body.data >= opened && body.data + body.len == opened + header.length);
    size_t offset = 0, item_len, total = 0;
    const uint8_t *item;
    while ((header.flags & OURO_FLAG_BATCH) &&
           ouro_batch_next(body.data, body.len, &offset, &item, &item_len))
        total += item_len + 2;
    need(!(header.flags & OURO_FLAG_BATCH) || total == body.len);
    return 0;
}
