#include "policy_internal.h"

#include "client_internal.h"
#include "flight_internal.h"
#include "link_state.h"
#include "numbers.h"
#include "parameters.h"
#include "place_internal.h"
#include "sessions_internal.h"

/* After ouro_link_close nothing follows: what still waits was never sent. */
static void finish_closing(ouro_link *link, uint64_t now) {
    link->flags |= LINK_CLOSED;
    while (link->live[0] != NULL)
        ouro_policy_end(link, link->live[0], now);
    while (link->queue != NULL)
        ouro_place_finish(link, &link->queue, link->queue, PLACE_FAILED);
    if (link->memory->client != NULL)
        ouro_client_cancel(link);
}

void ouro_policy_end(ouro_link *link, ouro_tail *tail, uint64_t now) {
    bool newest = tail == link->live[0] && !(tail->state & TAIL_OLDER);
    ouro_sessions_drop(link, tail);
    bool closing = (link->flags & LINK_CLOSING) && !(link->flags & LINK_CLOSED);
    if (closing && (newest || link->live[0] == NULL))
        finish_closing(link, now);
    if (!newest)
        return;
    link->flags &= (uint16_t) ~(LINK_PING_OUT | LINK_PING_DUE | LINK_SUSPECT);
    link->wait_until_ms = 0;
    if (!(link->flags & LINK_CLOSED) && link->settings->role == OURO_CLIENT &&
        ((link->flags & LINK_RECONNECT) || link->queue != NULL))
        ouro_client_wanted(link, now);
}

void ouro_policy_confirmed(ouro_link *link, uint64_t now) {
    link->live[0]->state &= (uint16_t)~TAIL_UNCONFIRMED;
    link->established_id = link->live[0]->id;
    link->events |= TELL_ESTABLISHED;
    link->stats.handshakes++;
    for (size_t i = 1; i < OURO_MAX_SESSIONS && link->live[i] != NULL; i++) {
        ouro_tail *old = link->live[i];
        bool server = link->settings->role == OURO_SERVER;
        uint64_t left = server || (old->state & TAIL_REKEYED) ? DRAIN_MS : OLD_SESSION_MS;
        if (!(old->state & TAIL_RETIRING))
            old->retire_ms = now + left;
        old->state |= TAIL_RETIRING;
        if (!server && !(old->state & TAIL_REKEYED))
            ouro_flight_resend(link, old, now);
    }
}

void ouro_policy_goodbye(ouro_link *link, ouro_tail *tail, uint8_t reason) {
    ouro_flight_end(link, tail);
    tail->close_phase = CLOSE_SENT;
    tail->close_reason = reason;
    tail->close_count = 0;
    tail->state |= TAIL_CLOSE_DUE | TAIL_NO_NEW;
}

static bool is_idle(const ouro_link *link, const ouro_tail *tail) {
    bool newest = tail == link->live[0];
    bool queued = newest && !(tail->state & TAIL_NO_NEW) && link->queue != NULL;
    if (queued || ouro_flight_any(link, tail))
        return false;
    /* A link that closes waits for what older sessions have in flight, too. */
    for (size_t i = 1; newest && (link->flags & LINK_CLOSING) && i < OURO_MAX_SESSIONS; i++)
        if (link->live[i] != NULL && ouro_flight_any(link, link->live[i]))
            return false;
    return true;
}

static void settle_close(ouro_link *link, ouro_tail *tail) {
    if (tail->close_phase == CLOSE_DRAINING && is_idle(link, tail)) {
        tail->close_phase = CLOSE_SENT;
        tail->state |= TAIL_CLOSE_DUE;
    } else if (tail->close_phase == CLOSE_ANSWERING && !ouro_flight_any(link, tail)) {
        tail->state |= TAIL_CLOSE_DUE | TAIL_ENDING;
    }
}

static uint64_t most_packets(const ouro_session *session) {
    const ouro_tail *tail = &session->tail;
    uint64_t tx = OURO_MAX((uint64_t)tail->tx_next, tail->tx_control_next);
    uint64_t rx = OURO_MAX(session->window.next, tail->rx_control_next);
    return OURO_MAX(tx, rx);
}

bool ouro_policy_may_renew(const ouro_link *link) {
    const ouro_session *session = ouro_sessions_newest(link);
    return session != NULL && !(session->tail.state & (TAIL_NO_NEW | TAIL_UNCONFIRMED)) &&
           session->tail.close_phase == CLOSE_NONE && !(link->flags & LINK_CLOSING) &&
           !ouro_client_busy(link);
}

static bool needs_renewal(const ouro_link *link, uint64_t now) {
    if (!ouro_policy_may_renew(link))
        return false;
    const ouro_session *session = ouro_sessions_newest(link);
    uint64_t packets = link->settings->rekey_packets;
    if (most_packets(session) >= (packets != 0 ? packets : DEFAULT_REKEY_PACKETS))
        return true;
    return link->settings->role == OURO_CLIENT && now >= session->renew_ms;
}

void ouro_policy_renew(ouro_link *link, uint64_t now) {
    bool server = link->settings->role == OURO_SERVER;
    /* One window, or one stream: the old session is closed before the new one begins. */
    if (server || link->settings->stream || link->memory->session_count < 2) {
        if (!server)
            link->flags |= LINK_RECONNECT;
        ouro_sessions_begin_close(link->live[0], now, OURO_REASON_REKEY);
    } else {
        ouro_client_begin(link, CAUSE_REKEY, now);
    }
}

void ouro_policy_settle(ouro_link *link, uint64_t now) {
    for (size_t i = OURO_MAX_SESSIONS; i-- > 0;) {
        ouro_tail *tail = link->live[i];
        if (tail == NULL)
            continue;
        bool client = link->settings->role == OURO_CLIENT;
        bool drained = (tail->state & TAIL_RETIRING) && !ouro_flight_any(link, tail);
        if ((tail->state & TAIL_RETIRING) && now >= tail->retire_ms) {
            ouro_policy_end(link, tail, now);
        } else if (client && drained && !(tail->state & TAIL_REKEYED) &&
                   tail->close_phase != CLOSE_ANSWERING) {
            ouro_policy_end(link, tail, now);
        } else {
            if (client && drained && (tail->state & TAIL_REKEYED))
                ouro_sessions_begin_close(tail, now, OURO_REASON_REKEY);
            settle_close(link, tail);
        }
    }
    if (needs_renewal(link, now))
        ouro_policy_renew(link, now);
}

void ouro_policy_cut_short(ouro_link *link) {
    while (link->queue != NULL)
        ouro_place_finish(link, &link->queue, link->queue, PLACE_FAILED);
    ouro_tail *tail = link->live[0];
    if (tail != NULL && tail->close_phase == CLOSE_DRAINING) {
        tail->close_phase = CLOSE_SENT;
        tail->state |= TAIL_CLOSE_DUE;
    } else if (tail != NULL && tail->close_phase == CLOSE_ANSWERING) {
        tail->state |= TAIL_CLOSE_DUE | TAIL_ENDING;
    } else if (tail == NULL) {
        ouro_client_cancel(link);
        link->flags |= LINK_CLOSED;
        link->events |= TELL_CLOSED;
    }
}
