#include "policy_internal.h"

#include "client_internal.h"
#include "flight_internal.h"
#include "link_state.h"
#include "numbers.h"
#include "parameters.h"
#include "place_internal.h"
#include "session_internal.h"
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
    if (newest && link->memory->client != NULL)
        ouro_client_ended(link, false);
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
    bool server = link->settings->role == OURO_SERVER;
    for (size_t i = 1; i < OURO_MAX_SESSIONS && link->live[i] != NULL; i++) {
        ouro_tail *old = link->live[i];
        uint64_t end = now + (server || (old->state & TAIL_REKEYED) ? DRAIN_MS : OLD_SESSION_MS);
        old->retire_ms = old->state & TAIL_RETIRING ? OURO_MIN(old->retire_ms, end) : end;
        old->state |= TAIL_RETIRING;
        /* A server does not know why the session is replaced, unless it asked for that. */
        if (server && old->close_phase != CLOSE_SENT)
            ouro_flight_all_lost(link, old, now);
        else if (!server && !(old->state & TAIL_REKEYED))
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

/* What a session comes to: most often nothing. */
typedef enum step {
    STEP_NONE = 0,
    STEP_END,
    STEP_BEGIN_CLOSE, /* with reason 2: it was replaced, and has drained */
    STEP_CLOSE,       /* nothing is in its way any more */
    STEP_ANSWER
} step;

static step step_of(const ouro_link *link, const ouro_tail *tail, uint64_t now) {
    bool flight = ouro_flight_any(link, tail);
    if (tail->state & TAIL_RETIRING) {
        bool confirmed = !(link->live[0]->state & TAIL_UNCONFIRMED);
        bool drained = link->settings->role == OURO_CLIENT && confirmed && !flight;
        /* The server may have something, be it the first that it ever sent; a tail opens no DATA.
         */
        bool closes = (tail->state & (TAIL_REKEYED | OURO_TAIL_FULL)) != 0;
        if (now >= tail->retire_ms || (drained && !closes && tail->close_phase != CLOSE_ANSWERING))
            return STEP_END;
        if (drained && closes && tail->close_phase == CLOSE_NONE)
            return STEP_BEGIN_CLOSE;
    }
    if (tail->close_phase == CLOSE_DRAINING && is_idle(link, tail))
        return STEP_CLOSE;
    if (tail->close_phase == CLOSE_ANSWERING && !flight && !(tail->state & TAIL_ENDING))
        return STEP_ANSWER;
    return STEP_NONE;
}

/* False once the session is gone. */
static bool take_step(ouro_link *link, ouro_tail *tail, step next, uint64_t now) {
    switch (next) {
    case STEP_BEGIN_CLOSE:
        ouro_sessions_begin_close(tail, now, OURO_REASON_REKEY);
        return true;
    case STEP_CLOSE:
        tail->close_phase = CLOSE_SENT;
        tail->state |= TAIL_CLOSE_DUE;
        return true;
    case STEP_ANSWER:
        tail->state |= TAIL_CLOSE_DUE | TAIL_ENDING;
        return true;
    default:
        ouro_policy_end(link, tail, now);
        return false;
    }
}

bool ouro_policy_is_settled(const ouro_link *link, uint64_t now) {
    for (size_t i = 0; i < OURO_MAX_SESSIONS && link->live[i] != NULL; i++)
        if (step_of(link, link->live[i], now) != STEP_NONE)
            return false;
    return !needs_renewal(link, now);
}

void ouro_policy_settle(ouro_link *link, uint64_t now) {
    /* First: a session that is closed to be replaced may have nothing left to wait for. */
    if (needs_renewal(link, now))
        ouro_policy_renew(link, now);
    for (size_t i = OURO_MAX_SESSIONS; i-- > 0;) {
        ouro_tail *tail = link->live[i];
        step next = tail == NULL ? STEP_NONE : step_of(link, tail, now);
        while (next != STEP_NONE)
            next = take_step(link, tail, next, now) ? step_of(link, tail, now) : STEP_NONE;
    }
}

bool ouro_policy_closing_waits(const ouro_link *link) {
    const ouro_tail *tail = link->live[0];
    if (!(link->flags & LINK_CLOSING) || (link->flags & LINK_CLOSED))
        return false;
    return link->queue != NULL || tail == NULL || tail->close_phase == CLOSE_DRAINING ||
           (tail->close_phase == CLOSE_ANSWERING && !(tail->state & TAIL_ENDING));
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
