/* A sensor's link, and one turn of its loop: what bare_loop.c and sleepy_loop.c share. */
#ifndef SENSOR_H
#define SENSOR_H

#include "ouroboros/ouroboros.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a build system may set: messages that the gateway may be ahead, 4 to 64, */
#ifndef SENSOR_REACH
#define SENSOR_REACH 8
#endif
/* messages that wait or are in flight at once, */
#ifndef SENSOR_PLACES
#define SENSOR_PLACES 4
#endif
/* and the bytes of the largest packet: a multiple of 8, at least 96. */
#ifndef SENSOR_PACKET
#define SENSOR_PACKET 128
#endif
#define SENSOR_READING 64 /* bytes of a reading, at most */

extern ouro_link sensor_link;

/* Readings that were given to the link and may not have arrived. */
extern unsigned sensor_lost;

/* Makes the link; false when its memory or its credential does not do. */
bool sensor_start(void);

/* Takes what came, sends what is due; true if there was a reading to send. */
bool sensor_step(void);

/*
 * Of sleepy_loop.c, in place of the two above: wakes up, sends every reading there is, saves the
 * session. True if all were delivered and it is saved; the board may be switched off either way.
 */
bool sensor_night(void);

#ifdef __cplusplus
}
#endif

#endif
