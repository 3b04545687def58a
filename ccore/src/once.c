#include "once_internal.h"

#include "parameters.h"

/* A receiver's record would take `seq` for one that it had before, if `lower` came after it. */
static bool too_far(uint32_t seq, uint32_t lower) {
    return seq > lower && seq - lower >= ONCE_REACH;
}

static bool too_far_for(const ouro_place *list, uint32_t box, uint32_t seq) {
    for (const ouro_place *p = list; p != NULL; p = p->next)
        if (p->box == box && too_far(seq, p->seq))
            return true;
    return false;
}

bool ouro_once_may_give(const ouro_link *link, uint32_t box, uint32_t seq) {
    const ouro_unknown *unknown = &link->unknown;
    if (unknown->box == box && unknown->bits != 0 && too_far(seq, unknown->lowest))
        return false;
    return !too_far_for(link->queue, box, seq) && !too_far_for(link->flight, box, seq);
}

/* The lowest bit stands for the lowest seq. */
static void settle(ouro_unknown *unknown) {
    while (unknown->bits != 0 && (unknown->bits & 1) == 0) {
        unknown->bits >>= 1;
        unknown->lowest++;
    }
}

static void take_out(ouro_unknown *unknown, uint32_t seq) {
    if (seq - unknown->lowest < ONCE_REACH)
        unknown->bits &= ~(UINT64_C(1) << (seq - unknown->lowest));
    settle(unknown);
}

void ouro_once_given(ouro_link *link, uint32_t box, uint32_t seq) {
    ouro_unknown *unknown = &link->unknown;
    if (unknown->box != box) {
        unknown->box = box;
        unknown->bits = 0;
    }
    take_out(unknown, seq);
}

void ouro_once_unknown(ouro_link *link, const ouro_place *place) {
    ouro_unknown *unknown = &link->unknown;
    if (place->box == 0 || place->box != unknown->box)
        return;
    if (unknown->bits == 0 || place->seq < unknown->lowest) {
        uint32_t below = unknown->lowest - place->seq;
        unknown->bits = below < ONCE_REACH ? unknown->bits << below : 0;
        unknown->lowest = place->seq;
    }
    if (place->seq - unknown->lowest < ONCE_REACH)
        unknown->bits |= UINT64_C(1) << (place->seq - unknown->lowest);
}

ouro_status ouro_link_give_up(ouro_link *link, uint32_t box, uint32_t seq) {
    if (box == 0 || box != link->unknown.box)
        return OURO_ERR_STATE;
    take_out(&link->unknown, seq);
    return OURO_OK;
}
