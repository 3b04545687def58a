/* The sessions of a link: newest first, older ones that drain. */
#include "link_internal.h"
#include <string.h>

ouro_session *ouro_full(ouro_tail *tail) {
    /* The tail is the session's first member. */
    return tail != NULL && (tail->state & OURO_TAIL_FULL) ? (ouro_session *)(void *)tail : NULL;
}

ouro_session *ouro_newest(const ouro_link *link) {
    return ouro_full(link->live[0]);
}

ouro_tail *ouro_link_find(const ouro_link *link, uint32_t id) {
    for (size_t i = 0; i < OURO_MAX_SESSIONS && link->live[i] != NULL; i++)
        if (link->live[i]->id == id)
            return link->live[i];
    return NULL;
}

static void forget(ouro_link *link, const ouro_tail *tail) {
    size_t to = 0;
    for (size_t from = 0; from < OURO_MAX_SESSIONS; from++)
        if (link->live[from] != tail)
            link->live[to++] = link->live[from];
    while (to < OURO_MAX_SESSIONS)
        link->live[to++] = NULL;
}

static void erase(ouro_tail *tail) {
    ouro_session *session = ouro_full(tail);
    if (session == NULL) {
        ouro_tail_erase(tail);
        return;
    }
    ouro_session_erase(session);
}

/* The newest session is over: the application is told, once. */
static void tell_closed(ouro_link *link, const ouro_tail *tail) {
    if (!(link->events & TELL_CLOSED))
        link->closed_reason = tail->close_reason;
    link->events |= TELL_CLOSED;
    if (tail->close_phase == CLOSE_ANSWERING)
        link->events |= TELL_CLOSED_BY_PEER;
}

/* After ouro_link_close nothing follows: what still waits was never sent. */
static void finish_closing(ouro_link *link, uint64_t now) {
    link->flags |= LINK_CLOSED;
    while (link->live[0] != NULL)
        ouro_link_end(link, link->live[0], now);
    while (link->queue != NULL)
        ouro_place_finish(link, &link->queue, link->queue, PLACE_FAILED);
    if (link->memory->client != NULL)
        ouro_client_cancel(link);
}

void ouro_link_end(ouro_link *link, ouro_tail *tail, uint64_t now) {
    bool newest = tail == link->live[0] && !(tail->state & TAIL_OLDER);
    if (newest)
        tell_closed(link, tail);
    if (newest && tail->close_phase >= CLOSE_SENT)
        link->flags |= LINK_SAID_GOODBYE;
    ouro_flight_end(link, tail);
    if (link->pong_session == tail->id)
        link->flags &= (uint16_t)~LINK_PONG_DUE;
    erase(tail);
    forget(link, tail);
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

static size_t live_count(const ouro_link *link) {
    size_t count = 0;
    while (count < OURO_MAX_SESSIONS && link->live[count] != NULL)
        count++;
    return count;
}

static bool is_live(const ouro_link *link, const ouro_tail *tail) {
    for (size_t i = 0; i < OURO_MAX_SESSIONS; i++)
        if (link->live[i] == tail)
            return true;
    return false;
}

/* An older session gives its window away and stays as a tail. */
static bool reduce(ouro_link *link, ouro_session *session) {
    for (size_t i = 0; i < link->memory->tail_count; i++) {
        ouro_tail *tail = &link->memory->tails[i];
        if (is_live(link, tail))
            continue;
        *tail = session->tail;
        tail->state &= (uint16_t)~OURO_TAIL_FULL;
        for (size_t k = 0; k < OURO_MAX_SESSIONS; k++)
            if (link->live[k] == &session->tail)
                link->live[k] = tail;
        erase(&session->tail);
        return true;
    }
    return false;
}

static ouro_session *free_session(const ouro_link *link) {
    for (size_t i = 0; i < link->memory->session_count; i++)
        if (!is_live(link, &link->memory->sessions[i].tail))
            return &link->memory->sessions[i];
    return NULL;
}

ouro_session *ouro_link_new_session(ouro_link *link, uint64_t now, ouro_slot **slots) {
    /* A server keeps one older session, a client two. */
    size_t most = link->settings->role == OURO_SERVER ? 2 : OURO_MAX_SESSIONS;
    while (live_count(link) >= most)
        ouro_link_end(link, link->live[live_count(link) - 1], now);
    ouro_session *session = free_session(link);
    for (size_t i = live_count(link); session == NULL && i-- > 0;) {
        ouro_session *old = ouro_full(link->live[i]);
        if (old != NULL && !reduce(link, old))
            ouro_link_end(link, link->live[i], now);
        session = free_session(link);
    }
    size_t index = (size_t)(session - link->memory->sessions);
    *slots = link->memory->slots == NULL ? NULL
                                         : link->memory->slots + index * 2u * link->settings->reach;
    return session;
}

uint64_t ouro_link_rekey_age(const ouro_link *link) {
    uint64_t age = link->settings->rekey_age_ms;
    return age != 0 ? age : DEFAULT_REKEY_MS;
}

void ouro_link_enter(ouro_link *link, ouro_session *session, uint64_t now) {
    size_t index = (size_t)(session - link->memory->sessions);
    ouro_session *last = ouro_newest(link);
    if (last != NULL && last->prepared != NULL) {
        ouro_prepared_erase(last->prepared);
        last->prepared = NULL;
    }
    session->renew_ms = now + ouro_link_rekey_age(link);
    session->prepared = link->memory->prepared;
    session->path = link->memory->paths == NULL ? NULL : &link->memory->paths[index];
    if (session->path != NULL)
        memset(session->path, 0, sizeof *session->path);
    memmove(&link->live[1], &link->live[0], (OURO_MAX_SESSIONS - 1) * sizeof link->live[0]);
    link->live[0] = &session->tail;
    link->closed_missing = 0;
    link->wait_until_ms = 0;
    link->busy_count = 0;
    link->open_counter = 0;
    link->flags &= (uint16_t) ~(LINK_PING_OUT | LINK_PING_DUE | LINK_SUSPECT | LINK_RECONNECT);
    for (size_t i = 1; i < OURO_MAX_SESSIONS && link->live[i] != NULL; i++)
        link->live[i]->state |= TAIL_NO_NEW | TAIL_OLDER;
    ouro_link_fresh_path(link);
    link->flags &= (uint16_t)~LINK_SAID_GOODBYE;
    if (link->flags & LINK_CLOSING)
        ouro_link_begin_close(&session->tail, now, link->closed_reason);
    else
        link->closed_reason = OURO_REASON_NORMAL;
}

void ouro_link_confirmed(ouro_link *link, uint64_t now) {
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

void ouro_link_begin_close(ouro_tail *tail, uint64_t now, uint8_t reason) {
    if (tail->close_phase != CLOSE_NONE)
        return;
    tail->close_phase = CLOSE_DRAINING;
    tail->close_reason = reason;
    tail->close_ms = (uint32_t)now;
    if (reason == OURO_REASON_REKEY)
        tail->state |= TAIL_NO_NEW;
}

void ouro_link_goodbye(ouro_link *link, ouro_tail *tail, uint8_t reason) {
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

bool ouro_link_may_renew(const ouro_link *link) {
    const ouro_session *session = ouro_newest(link);
    return session != NULL && !(session->tail.state & (TAIL_NO_NEW | TAIL_UNCONFIRMED)) &&
           session->tail.close_phase == CLOSE_NONE && !(link->flags & LINK_CLOSING) &&
           !ouro_client_busy(link);
}

static bool needs_renewal(const ouro_link *link, uint64_t now) {
    if (!ouro_link_may_renew(link))
        return false;
    const ouro_session *session = ouro_newest(link);
    uint64_t packets = link->settings->rekey_packets;
    if (most_packets(session) >= (packets != 0 ? packets : DEFAULT_REKEY_PACKETS))
        return true;
    return link->settings->role == OURO_CLIENT && now >= session->renew_ms;
}

void ouro_link_renew(ouro_link *link, uint64_t now) {
    bool server = link->settings->role == OURO_SERVER;
    /* One window, or one stream: the old session is closed before the new one begins. */
    if (server || link->settings->stream || link->memory->session_count < 2) {
        if (!server)
            link->flags |= LINK_RECONNECT;
        ouro_link_begin_close(link->live[0], now, OURO_REASON_REKEY);
    } else {
        ouro_client_begin(link, CAUSE_REKEY, now);
    }
}

void ouro_link_settle(ouro_link *link, uint64_t now) {
    for (size_t i = OURO_MAX_SESSIONS; i-- > 0;) {
        ouro_tail *tail = link->live[i];
        if (tail == NULL)
            continue;
        bool client = link->settings->role == OURO_CLIENT;
        bool drained = (tail->state & TAIL_RETIRING) && !ouro_flight_any(link, tail);
        if ((tail->state & TAIL_RETIRING) && now >= tail->retire_ms) {
            ouro_link_end(link, tail, now);
        } else if (client && drained && !(tail->state & TAIL_REKEYED) &&
                   tail->close_phase != CLOSE_ANSWERING) {
            ouro_link_end(link, tail, now);
        } else {
            if (client && drained && (tail->state & TAIL_REKEYED))
                ouro_link_begin_close(tail, now, OURO_REASON_REKEY);
            settle_close(link, tail);
        }
    }
    if (needs_renewal(link, now))
        ouro_link_renew(link, now);
}
