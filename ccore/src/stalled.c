#include "stalled_internal.h"

#include "link_state.h"
#include "numbers.h"
#include "parameters.h"
#include "place_internal.h"

static bool is_of(const ouro_place *place, const ouro_tail *tail) {
    return place->session_id == tail->id;
}

void ouro_stalled_anew(ouro_place *place) {
    place->followed = 0;
    place->flags &= (uint16_t)~PLACE_STUCK;
}

void ouro_stalled_count(ouro_link *link, ouro_place *place, uint64_t now) {
    if (link->heard_ms <= ouro_then(now, place->sent_ms))
        return;
    if (place->followed == 0)
        place->tried_ms = place->sent_ms;
    place->followed = (uint8_t)OURO_MIN(place->followed + 1, STUCK_ATTEMPTS);
    if (place->followed >= STUCK_ATTEMPTS && place->sent_ms - place->tried_ms >= GIVE_UP_MS)
        place->flags |= PLACE_STUCK;
}

void ouro_stalled_find(ouro_link *link, const ouro_tail *tail) {
    for (ouro_place *p = link->flight, *next; p != NULL; p = next) {
        next = p->next;
        if (!is_of(p, tail) || !(p->flags & PLACE_STUCK) ||
            tail->acked_next < p->counter + UINT64_C(2))
            continue;
        ouro_place_unlink(&link->flight, p);
        ouro_place_append(&link->stalled, p);
        /* Of an unreliable message nobody waits for more than that it went out. */
        if (p->flags & (PLACE_SENT | PLACE_QUIET))
            p->flags |= PLACE_TOLD;
        link->stats.stalled++;
    }
}

static void end(ouro_link *link, ouro_place *place) {
    ouro_place_finish(link, &link->stalled, place, PLACE_UNKNOWN | PLACE_STALLED);
}

void ouro_stalled_acked(ouro_link *link, const ouro_tail *tail, const ouro_ack_block *block) {
    for (ouro_place *p = link->stalled, *next; p != NULL; p = next) {
        next = p->next;
        if (!is_of(p, tail))
            continue;
        if (ouro_ack_block_names(block, p->counter))
            ouro_place_finish(link, &link->stalled, p, PLACE_DELIVERED);
        else if (tail->acked_next > (uint64_t)p->counter + tail->peer_reach)
            end(link, p);
    }
}

void ouro_stalled_end(ouro_link *link, const ouro_tail *tail) {
    for (ouro_place *p = link->stalled, *next; p != NULL; p = next) {
        next = p->next;
        if (is_of(p, tail))
            end(link, p);
    }
}

void ouro_stalled_make_way(ouro_link *link, const ouro_place *place) {
    for (ouro_place *p = link->stalled, *next; place->box != 0 && p != NULL; p = next) {
        next = p->next;
        if (p->box == place->box && place->seq > p->seq && place->seq - p->seq >= ONCE_REACH)
            end(link, p);
    }
}

void ouro_stalled_give_place(ouro_link *link) {
    if (link->stalled != NULL)
        end(link, link->stalled);
}

/* As long again as it was tried; by a server only once the device was heard since. */
static uint64_t due(const ouro_link *link, const ouro_place *place, uint64_t now) {
    uint64_t sent = ouro_then(now, place->sent_ms);
    uint32_t tried = place->sent_ms - place->tried_ms;
    if (link->settings->role == OURO_SERVER && link->heard_ms <= sent)
        return OURO_NEVER;
    return sent + OURO_MIN(OURO_MAX(tried, TIMEOUT_MAX_MS), DEAD_TIMEOUT_MAX_MS);
}

ouro_place *ouro_stalled_due(const ouro_link *link, uint64_t now) {
    for (ouro_place *p = link->stalled; p != NULL; p = p->next)
        if (now >= due(link, p, now))
            return p;
    return NULL;
}

uint64_t ouro_stalled_deadline(const ouro_link *link, uint64_t now) {
    uint64_t deadline = OURO_NEVER;
    /* Nothing goes out before the epoch is durable. */
    if (link->flags & LINK_HOLD)
        return deadline;
    for (const ouro_place *p = link->stalled; p != NULL; p = p->next)
        deadline = OURO_MIN(deadline, due(link, p, now));
    return deadline;
}

ouro_place *ouro_stalled_untold(const ouro_link *link) {
    ouro_place *place = link->stalled;
    while (place != NULL && (place->flags & PLACE_TOLD))
        place = place->next;
    return place;
}

size_t ouro_stalled_size(const ouro_place *place) {
    size_t around = OURO_OVERHEAD;
    if (place->wire_flags & OURO_FLAG_ACKS)
        around += OURO_ACK_BLOCK_SIZE;
    if (place->wire_flags & OURO_FLAG_ONCE)
        around += OURO_ONCE_SIZE;
    return place->len - around;
}
