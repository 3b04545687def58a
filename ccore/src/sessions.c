#include "sessions_internal.h"

#include "flight_internal.h"
#include "link_state.h"
#include "numbers.h"
#include "parameters.h"
#include "session_internal.h"
#include <string.h>

ouro_session *ouro_sessions_newest(const ouro_link *link) {
    return ouro_tail_full(link->live[0]);
}

ouro_tail *ouro_sessions_find(const ouro_link *link, uint32_t id) {
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
    ouro_session *session = ouro_tail_full(tail);
    if (session == NULL) {
        ouro_tail_erase(tail);
        return;
    }
    ouro_session_erase(session);
}

/* The newest session is over: the application is told, once. */
static void tell_closed(ouro_link *link, const ouro_tail *tail) {
    link->closed_reason = tail->close_reason;
    link->events |= TELL_CLOSED;
    if (tail->close_phase == CLOSE_ANSWERING)
        link->events |= TELL_CLOSED_BY_PEER;
}

void ouro_sessions_drop(ouro_link *link, ouro_tail *tail) {
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
}

void ouro_sessions_erase(ouro_link *link) {
    for (size_t i = 0; i < OURO_MAX_SESSIONS && link->live[i] != NULL; i++)
        erase(link->live[i]);
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

ouro_session *ouro_sessions_new(ouro_link *link, ouro_slot **slots) {
    /* A server keeps one older session, a client two. */
    size_t most = link->settings->role == OURO_SERVER ? 2 : OURO_MAX_SESSIONS;
    while (live_count(link) >= most)
        ouro_sessions_drop(link, link->live[live_count(link) - 1]);
    ouro_session *session = free_session(link);
    for (size_t i = live_count(link); session == NULL && i-- > 0;) {
        ouro_session *old = ouro_tail_full(link->live[i]);
        if (old != NULL && !reduce(link, old))
            ouro_sessions_drop(link, link->live[i]);
        session = free_session(link);
    }
    size_t index = (size_t)(session - link->memory->sessions);
    *slots = link->memory->slots == NULL ? NULL
                                         : link->memory->slots + index * 2u * link->settings->reach;
    return session;
}

uint64_t ouro_sessions_rekey_age(const ouro_link *link) {
    uint64_t age = link->settings->rekey_age_ms;
    return age != 0 ? age : DEFAULT_REKEY_MS;
}

void ouro_sessions_enter(ouro_link *link, ouro_session *session, uint64_t now) {
    size_t index = (size_t)(session - link->memory->sessions);
    ouro_session *last = ouro_sessions_newest(link);
    if (last != NULL && last->prepared != NULL) {
        ouro_prepared_erase(last->prepared);
        last->prepared = NULL;
    }
    session->renew_ms = ouro_after(now, ouro_sessions_rekey_age(link));
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
    ouro_flight_fresh(link);
    link->flags &= (uint16_t)~LINK_SAID_GOODBYE;
    if (link->flags & LINK_CLOSING)
        ouro_sessions_begin_close(&session->tail, now, link->closed_reason);
}

void ouro_sessions_begin_close(ouro_tail *tail, uint64_t now, uint8_t reason) {
    if (tail->close_phase != CLOSE_NONE)
        return;
    tail->close_phase = CLOSE_DRAINING;
    tail->close_reason = reason;
    tail->close_ms = (uint32_t)now;
    if (reason == OURO_REASON_REKEY)
        tail->state |= TAIL_NO_NEW;
}
