/* What is due over a stream, where nothing is sent again. */
#ifndef OURO_STREAM_INTERNAL_H
#define OURO_STREAM_INTERNAL_H

#include "ouroboros/link.h"

void ouro_stream_tick(ouro_link *link, uint64_t now);
uint64_t ouro_stream_deadline(const ouro_link *link, uint64_t now);

#endif
