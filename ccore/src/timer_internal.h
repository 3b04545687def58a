/* When time alone changes something. */
#ifndef OURO_TIMER_INTERNAL_H
#define OURO_TIMER_INTERNAL_H

#include "ouroboros/link.h"

/* When the next timer is due; OURO_NEVER when none runs. */
uint64_t ouro_timer_next(const ouro_link *link, uint64_t now);

#endif
