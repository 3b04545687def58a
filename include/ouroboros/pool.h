/*
 * Places: the storage of messages that wait or are in flight. One pool serves the links of one
 * thread, or each link has its own. A place is a record of OURO_PLACE_SIZE bytes and room for one
 * packet, overhead included.
 */
#ifndef OUROBOROS_POOL_H
#define OUROBOROS_POOL_H

#include "ouroboros/status.h"
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ouro_place {
    struct ouro_place *next;
    uint32_t sent_ms;     /* last sent; while queued: since when. All times modulo 2^32 */
    uint32_t first_ms;    /* first sent, or since when giving up is counted */
    uint32_t previous_ms; /* sent before the last time-out */
    uint32_t tried_ms;    /* first sent of the `followed` */
    uint32_t id;
    uint32_t session_id;
    uint32_t counter; /* while queued: time to live, ms */
    uint32_t mark;    /* the session's next counter when it was last sent */
    uint32_t box, seq;
    uint16_t len; /* of the packet; while queued: of the message */
    uint16_t flags;
    uint8_t wire_flags;
    uint8_t timeouts; /* in a row; they count towards giving up */
    uint8_t silents;  /* of these, in a row, with nothing heard */
    uint8_t followed; /* transmissions with something authenticated before the next one */
} ouro_place;

#define OURO_PLACE_SIZE sizeof(ouro_place)

typedef struct ouro_pool {
    ouro_place *free;
    size_t packet_cap; /* bytes of a packet that a place takes, overhead included */
    size_t count, used;
} ouro_pool;

/* Memory that `count` places of `packet_cap` bytes take. */
size_t ouro_pool_memory(size_t count, size_t packet_cap);

/*
 * Makes a pool over the caller's memory (aligned for a uint64_t). `packet_cap` is 96 to 1232.
 * ERR_ARGUMENT when it is not, without memory or alignment, and when there is not room for one
 * place.
 */
OURO_CHECKED ouro_status ouro_pool_init(ouro_pool *pool, void *memory, size_t memory_len,
                                        size_t packet_cap);

#ifdef __cplusplus
}
#endif

#endif
