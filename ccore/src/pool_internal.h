/* Taking and giving back places; only links do. */
#ifndef OURO_POOL_INTERNAL_H
#define OURO_POOL_INTERNAL_H

#include "ouroboros/pool.h"

/* False of one that ouro_pool_init never made. */
bool ouro_pool_is_made(const ouro_pool *pool);
/* NULL when the pool is empty; else a place that is all zero. */
ouro_place *ouro_pool_take(ouro_pool *pool);
void ouro_pool_give(ouro_pool *pool, ouro_place *place);
uint8_t *ouro_place_packet(ouro_place *place);

#endif
