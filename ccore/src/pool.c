#include "ouroboros/pool.h"

#include "ouroboros/packet.h"
#include "ouroboros/secret.h"
#include "pool_internal.h"

static size_t stride(size_t packet_cap) {
    const size_t align = sizeof(uint64_t);
    return sizeof(ouro_place) + (packet_cap + align - 1) / align * align;
}

size_t ouro_pool_memory(size_t count, size_t packet_cap) {
    return count * stride(packet_cap);
}

ouro_status ouro_pool_init(ouro_pool *pool, void *memory, size_t memory_len, size_t packet_cap) {
    if (memory == NULL || packet_cap < OURO_OVERHEAD + OURO_MIN_MAX_BODY ||
        packet_cap > OURO_MAX_PACKET || memory_len < stride(packet_cap) ||
        (uintptr_t)memory % sizeof(uint64_t) != 0)
        return OURO_ERR_ARGUMENT;
    pool->free = NULL;
    pool->packet_cap = packet_cap;
    pool->count = memory_len / stride(packet_cap);
    pool->used = 0;
    uint8_t *bytes = memory;
    for (size_t i = pool->count; i-- > 0;) {
        ouro_place *place = (ouro_place *)(void *)(bytes + i * stride(packet_cap));
        place->next = pool->free;
        pool->free = place;
    }
    return OURO_OK;
}

bool ouro_pool_is_made(const ouro_pool *pool) {
    return pool->packet_cap >= OURO_OVERHEAD + OURO_MIN_MAX_BODY &&
           pool->packet_cap <= OURO_MAX_PACKET;
}

ouro_place *ouro_pool_take(ouro_pool *pool) {
    ouro_place *place = pool->free;
    if (place == NULL)
        return NULL;
    pool->free = place->next;
    pool->used++;
    ouro_erase(place, stride(pool->packet_cap));
    return place;
}

void ouro_pool_give(ouro_pool *pool, ouro_place *place) {
    ouro_erase(place, stride(pool->packet_cap));
    place->next = pool->free;
    pool->free = place;
    pool->used--;
}

uint8_t *ouro_place_packet(ouro_place *place) {
    return (uint8_t *)(place + 1);
}
