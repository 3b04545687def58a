/* The lists of a link's places: what is queued, in flight, ended. */
#ifndef OURO_PLACE_INTERNAL_H
#define OURO_PLACE_INTERNAL_H

#include "ouroboros/link.h"

/* The place becomes the list's last. */
void ouro_place_append(ouro_place **list, ouro_place *place);
void ouro_place_unlink(ouro_place **list, ouro_place *place);
/* The place leaves its list with an outcome: an event follows, unless it is quiet. */
void ouro_place_finish(ouro_link *link, ouro_place **list, ouro_place *place, uint16_t outcome);

#endif
