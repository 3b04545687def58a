#include "place_internal.h"

#include "link_state.h"
#include "pool_internal.h"

void ouro_place_append(ouro_place **list, ouro_place *place) {
    place->next = NULL;
    while (*list != NULL)
        list = &(*list)->next;
    *list = place;
}

void ouro_place_unlink(ouro_place **list, ouro_place *place) {
    while (*list != place)
        list = &(*list)->next;
    *list = place->next;
    place->next = NULL;
}

void ouro_place_finish(ouro_link *link, ouro_place **list, ouro_place *place, uint16_t outcome) {
    ouro_place_unlink(list, place);
    if (place->flags & PLACE_SENT) {
        /* It went out, and that was all that was promised. */
        outcome = PLACE_SENT;
        link->reports--;
    } else if (place->flags & PLACE_QUIET) {
        link->place_count--;
        ouro_pool_give(link->memory->pool, place);
        return;
    }
    place->flags = outcome;
    ouro_place_append(&link->ended, place);
}
