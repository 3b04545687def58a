/* What bare_loop.c and sleepy_loop.c share: a sensor's link, and one turn of its loop. */
#ifndef SENSOR_H
#define SENSOR_H

#include "ouroboros/ouroboros.h"

enum { SENSOR_REACH = 8, SENSOR_READING = 64 /* bytes, at most */ };

extern ouro_link sensor_link;

/* Readings that were given to the link and may not have arrived. */
extern unsigned sensor_lost;

/* Makes the link; false when its memory or its credential does not do. */
bool sensor_start(void);

/* Takes what came, sends what is due; true if there was a reading to send. */
bool sensor_step(void);

#endif
