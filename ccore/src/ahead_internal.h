/* Keys derived ahead: K_auth of the epochs that a device may have skipped (section 3). */
#ifndef OURO_AHEAD_INTERNAL_H
#define OURO_AHEAD_INTERNAL_H

#include "ouroboros/server.h"

void ouro_ahead_init(ouro_server *server, ouro_ahead *ahead, size_t count, uint64_t now);
/* K_auth of the epoch `steps` after the device's, 2 to 1024; DROP_LIMIT while there is no room or
 * budget for it. */
OURO_CHECKED ouro_status ouro_ahead_key(ouro_server *server, ouro_device *device, uint64_t steps,
                                        uint64_t now, uint8_t auth[OURO_KEY_SIZE]);
/* Those of a device that moved or is forgotten are erased; it may have others at once. */
void ouro_ahead_drop(ouro_server *server, ouro_device *device);
/* Erases those that are too old; returns when the next will be. */
uint64_t ouro_ahead_tick(ouro_server *server, uint64_t now);
void ouro_ahead_erase(ouro_server *server);

#endif
