/* What is due over a stream, where nothing is sent again. */
#ifndef OURO_STREAM_INTERNAL_H
#define OURO_STREAM_INTERNAL_H

#include "ouroboros/link.h"

/* The message is handed on; true if `highest` rises, once all below it are handed on too. */
bool ouro_stream_done(ouro_tail *tail, uint64_t counter);
void ouro_stream_tick(ouro_link *link, uint64_t now);
uint64_t ouro_stream_deadline(const ouro_link *link, uint64_t now);

#endif
