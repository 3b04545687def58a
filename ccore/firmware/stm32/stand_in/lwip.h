/* What CubeMX makes of lwIP: one turn of its loop. */
#ifndef STAND_IN_LWIP_H
#define STAND_IN_LWIP_H

void MX_LWIP_Process(void);

#endif
