#include "ouroboros/stream.h"

#include "bytes.h"
#include "client_internal.h"
#include "flight_internal.h"
#include "link_state.h"
#include "numbers.h"
#include "parameters.h"
#include "path_internal.h"
#include "policy_internal.h"
#include "stream_internal.h"

int ouro_stream_packet_size(const uint8_t *bytes, size_t len) {
    if (len > 0 && bytes[0] >> 4 != OURO_VERSION)
        return OURO_END_STREAM;
    if (len < 4)
        return 0;
    uint16_t length = load_u16(bytes + 2);
    return length > OURO_MAX_BODY ? OURO_END_STREAM : OURO_OVERHEAD + length;
}

/* No timers send anything again: a PING finds out whether the path still works. */
static uint64_t unacknowledged_since(const ouro_link *link, uint64_t now) {
    const ouro_place *oldest =
        link->live[0] == NULL ? NULL : ouro_flight_lowest(link, link->live[0]);
    return oldest == NULL ? OURO_NEVER : ouro_then(now, oldest->sent_ms);
}

static uint64_t ping_due(const ouro_link *link, uint64_t now) {
    uint64_t since = unacknowledged_since(link, now);
    return since == OURO_NEVER ? since : OURO_MAX(since, link->ping_sent_ms) + STREAM_PING_MS;
}

uint64_t ouro_stream_deadline(const ouro_link *link, uint64_t now) {
    if (link->live[0] == NULL || (link->flags & (LINK_BROKEN | LINK_PING_DUE)))
        return OURO_NEVER;
    if (link->flags & LINK_PING_OUT)
        return link->ping_sent_ms + STREAM_DEAD_MS;
    return ping_due(link, now);
}

void ouro_stream_tick(ouro_link *link, uint64_t now) {
    if (now < ouro_stream_deadline(link, now))
        return;
    if (link->flags & LINK_PING_OUT) {
        ouro_path_dead(link, now);
        link->flags |= LINK_BROKEN;
    } else {
        link->flags |= LINK_PING_DUE;
    }
}

bool ouro_stream_is_broken(const ouro_link *link) {
    return (link->flags & LINK_BROKEN) != 0;
}

bool ouro_stream_ended(ouro_link *link) {
    ouro_tail *tail = link->live[0];
    bool closed = (link->flags & LINK_SAID_GOODBYE) && !(link->flags & LINK_BROKEN) &&
                  tail == NULL && link->closed_missing == 0;
    if (tail != NULL)
        ouro_policy_end(link, tail, link->heard_ms);
    if (link->memory->client != NULL)
        ouro_client_cancel(link);
    link->flags &= (uint16_t)~LINK_BROKEN;
    return closed;
}
