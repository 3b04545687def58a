#include "ouroboros/server.h"

#include "ahead_internal.h"
#include "challenge_internal.h"
#include "link_state.h"
#include "numbers.h"
#include "packet_internal.h"
#include "policy_internal.h"
#include "receive_internal.h"
#include "session_internal.h"
#include "sessions_internal.h"
#include <string.h>

enum { CONFIRM_BURST = 60, CONFIRM_PERIOD_MS = 1000, MAX_PREFIX_BITS = 16, KIND_PERIOD_MS = 60000 };

ouro_status ouro_server_init(ouro_server *server, const ouro_server_settings *settings,
                             ouro_pending *pending, size_t pending_count, ouro_ahead *ahead,
                             size_t ahead_count, const uint8_t challenge_key[32], uint64_t now) {
    memset(server, 0, sizeof *server);
    if (settings == NULL || pending == NULL || challenge_key == NULL ||
        !ouro_terms_fit(settings->reach, settings->max_body) || pending_count == 0 ||
        !ouro_challenge_slice_fits(settings) || settings->id_prefix_bits > MAX_PREFIX_BITS ||
        settings->id_prefix >> settings->id_prefix_bits != 0)
        return OURO_ERR_ARGUMENT;
    server->settings = settings;
    server->pending = pending;
    server->pending_count = pending_count;
    memcpy(server->challenge_key, challenge_key, sizeof server->challenge_key);
    memset(pending, 0, pending_count * sizeof *pending);
    for (size_t i = pending_count; i-- > 0;) {
        pending[i].next = server->free;
        server->free = &pending[i];
    }
    ouro_ahead_init(server, ahead, ahead_count, now);
    return OURO_OK;
}

void ouro_server_set_wall_clock(ouro_server *server, uint64_t now, uint64_t wall) {
    server->wall_offset = wall - now;
}

void ouro_server_set_second_challenge_key(ouro_server *server, const uint8_t challenge_key[32]) {
    server->has_second = challenge_key != NULL;
    if (challenge_key != NULL)
        memcpy(server->second_challenge_key, challenge_key, sizeof server->second_challenge_key);
    else
        ouro_erase(server->second_challenge_key, sizeof server->second_challenge_key);
}

uint32_t ouro_server_session_id(const ouro_server_settings *settings, uint32_t random) {
    unsigned free_bits = 32u - settings->id_prefix_bits;
    uint64_t prefix = (uint64_t)settings->id_prefix << free_bits;
    return (uint32_t)(prefix | (random & (((uint64_t)1 << free_bits) - 1)));
}

void ouro_device_init(ouro_device *device, const ouro_credential *credential) {
    memset(device, 0, sizeof *device);
    device->credential = *credential;
}

static void release(ouro_server *server, ouro_pending *pending) {
    ouro_pending **at = &pending->device->pending;
    while (*at != pending)
        at = &(*at)->next;
    *at = pending->next;
    ouro_erase(pending, sizeof *pending);
    pending->next = server->free;
    server->free = pending;
    server->pending_used--;
}

static void drop_all(ouro_server *server, ouro_device *device) {
    while (device->pending != NULL)
        release(server, device->pending);
}

void ouro_server_drop_pending(ouro_server *server, ouro_device *device, uint64_t number) {
    for (ouro_pending *p = device->pending, *next; p != NULL; p = next) {
        next = p->next;
        if (p->number < number)
            release(server, p);
    }
}

void ouro_server_forget(ouro_server *server, ouro_device *device) {
    drop_all(server, device);
    ouro_ahead_drop(server, device);
    ouro_erase(device, sizeof *device);
}

/* The key that this HELLO's tag is to be checked with. */
static ouro_status auth_of(ouro_server *server, ouro_device *device, uint64_t epoch, uint64_t now,
                           uint8_t auth[32]) {
    const ouro_credential *c = &device->credential;
    if (epoch < c->epoch || (!c->evolving && epoch != c->epoch) ||
        epoch - c->epoch > OURO_EPOCHS_AHEAD)
        return OURO_DROP_EPOCH;
    uint64_t steps = epoch - c->epoch;
    if (steps > 1)
        return ouro_ahead_key(server, device, steps, now, auth);
    uint8_t key[OURO_KEY_SIZE];
    memcpy(key, c->key, sizeof key);
    ouro_status status = ouro_epoch_advance(key, c->epoch, steps);
    if (status == OURO_OK)
        status = ouro_auth_key(key, epoch, auth);
    ouro_erase(key, sizeof key);
    return status;
}

/* A session that was confirmed by this HELLO is still held. */
static bool made_a_session(const ouro_link *link, const uint8_t tag[16]) {
    for (size_t i = 0; link != NULL && i < OURO_MAX_SESSIONS && link->live[i] != NULL; i++) {
        const ouro_session *session = ouro_tail_full(link->live[i]);
        if (session != NULL && session->path != NULL &&
            ouro_equal(session->path->hello_tag, tag, OURO_TAG_SIZE))
            return true;
    }
    return false;
}

static ouro_pending *same_hello(const ouro_device *device, const uint8_t *packet, size_t len) {
    for (ouro_pending *p = device->pending; p != NULL; p = p->next)
        if (p->hello_len == len && memcmp(p->hello, packet, len) == 0)
            return p;
    return NULL;
}

static size_t count_pending(const ouro_device *device, bool fresh, ouro_pending **oldest) {
    size_t count = 0;
    for (ouro_pending *p = device->pending; p != NULL; p = p->next)
        if (p->fresh == fresh) {
            count++;
            *oldest = p;
        }
    return count;
}

/* When the table is full, a HELLO that answered a challenge displaces the oldest that did not. */
static ouro_pending *oldest_unanswered(const ouro_server *server) {
    ouro_pending *oldest = NULL;
    for (size_t i = 0; i < server->pending_count; i++) {
        ouro_pending *p = &server->pending[i];
        if (p->device != NULL && !p->fresh &&
            (oldest == NULL || p->created_ms < oldest->created_ms))
            oldest = p;
    }
    return oldest;
}

static ouro_status make_room(ouro_server *server, const ouro_device *device) {
    ouro_pending *oldest = NULL;
    if (count_pending(device, true, &oldest) >= OURO_PENDING_PER_DEVICE)
        release(server, oldest);
    if (server->free == NULL) {
        oldest = oldest_unanswered(server);
        if (oldest == NULL)
            return OURO_DROP_LIMIT;
        release(server, oldest);
    }
    return OURO_OK;
}

/* The credential moves, and everything of the epochs it leaves is erased. */
static ouro_status move_to(ouro_server *server, ouro_device *device, uint64_t epoch) {
    ouro_credential *c = &device->credential;
    ouro_status status = ouro_epoch_advance(c->key, c->epoch, epoch - c->epoch);
    if (status != OURO_OK)
        return status;
    c->epoch = epoch;
    ouro_ahead_drop(server, device);
    drop_all(server, device);
    return OURO_OK;
}

static void expire_pending(ouro_server *server, ouro_device *device, uint64_t now) {
    for (ouro_pending *p = device->pending, *next; p != NULL; p = next) {
        next = p->next;
        if (now - p->created_ms >= OURO_PENDING_MS)
            release(server, p);
    }
}

/* 60 at once and one a second after that, unless set otherwise. */
static bool allows(const ouro_server *server, ouro_allowance *allowance, uint64_t now) {
    uint32_t burst = server->settings->confirm_burst;
    uint32_t period = server->settings->confirm_period_ms;
    if (burst == 0)
        burst = CONFIRM_BURST;
    if (period == 0)
        period = CONFIRM_PERIOD_MS;
    if (!allowance->set) {
        allowance->set = true;
        allowance->left = burst;
        allowance->since_ms = now;
    }
    uint64_t more = (now - allowance->since_ms) / period;
    allowance->left = (uint32_t)OURO_MIN(allowance->left + more, burst);
    allowance->since_ms += more * period;
    return allowance->left > 0;
}

static ouro_status answer(ouro_server *server, uint64_t now, ouro_device *device,
                          const ouro_hello *hello, const uint8_t auth[32], const uint8_t *packet,
                          size_t len, uint32_t session_id, const uint8_t nonce[16],
                          uint8_t welcome[OURO_WELCOME_SIZE], bool *moved) {
    ouro_welcome w;
    ouro_pending *oldest = NULL;
    memset(&w, 0, sizeof w);
    w.epoch = hello->epoch;
    w.stream = hello->stream;
    bool fresh = ouro_challenge_holds(server, now, hello);
    bool many = count_pending(device, false, &oldest) >= OURO_PENDING_PER_DEVICE;
    if (!fresh && (many || server->free == NULL)) {
        ouro_status status = ouro_challenge_make(server, now, hello, w.nonce);
        return status == OURO_OK ? ouro_welcome_write(&w, auth, packet, len, welcome) : status;
    }
    if (session_id == 0 || ouro_server_session_id(server->settings, session_id) != session_id ||
        ouro_server_pending(server, session_id) != NULL)
        return OURO_ERR_ARGUMENT;
    /* Each move is a durable write: no holder of a key wears out a registry (section 3). */
    bool ahead = hello->epoch > device->credential.epoch;
    if (ahead && !allows(server, &device->moves, now))
        return OURO_DROP_LIMIT;
    w.session_id = session_id;
    memcpy(w.nonce, nonce, sizeof w.nonce);
    w.reach = server->settings->reach;
    w.max_body = server->settings->max_body;
    ouro_status status = ouro_welcome_write(&w, auth, packet, len, welcome);
    if (status == OURO_OK && fresh)
        status = make_room(server, device);
    if (status == OURO_OK && ahead) {
        status = move_to(server, device, hello->epoch);
        *moved = status == OURO_OK;
        device->moves.left -= *moved;
    }
    if (status != OURO_OK)
        return status;
    ouro_pending *p = server->free;
    server->free = p->next;
    server->pending_used++;
    memset(p, 0, sizeof *p);
    p->next = device->pending;
    device->pending = p;
    p->device = device;
    p->created_ms = now;
    p->number = device->credential.evolving ? device->credential.epoch : device->generation;
    p->id = session_id;
    p->fresh = fresh;
    p->hello_len = (uint8_t)len;
    memcpy(p->hello, packet, len);
    memcpy(p->welcome, welcome, OURO_WELCOME_SIZE);
    return OURO_OK;
}

ouro_status ouro_server_hello(ouro_server *server, uint64_t now, ouro_device *device,
                              const ouro_link *link, const uint8_t *packet, size_t len,
                              uint32_t session_id, const uint8_t nonce[16],
                              uint8_t welcome[OURO_WELCOME_SIZE], bool *moved) {
    ouro_hello hello;
    uint8_t auth[32];
    *moved = false;
    memset(welcome, 0, OURO_WELCOME_SIZE);
    if (server->settings == NULL)
        return OURO_ERR_STATE;
    ouro_status status = ouro_hello_read(packet, len, &hello);
    if (status != OURO_OK)
        return status;
    if (!ouro_equal(hello.device_id, device->credential.device_id, OURO_DEVICE_ID_SIZE))
        return OURO_ERR_ARGUMENT;
    if (hello.stream != server->settings->stream)
        return OURO_DROP_TRANSPORT;
    expire_pending(server, device, now);
    status = auth_of(server, device, hello.epoch, now, auth);
    if (status == OURO_OK)
        status = ouro_hello_verify(auth, packet, len);
    if (status == OURO_OK && hello.evolving != device->credential.evolving)
        status = OURO_DROP_KIND;
    if (status == OURO_OK) {
        const ouro_pending *same = same_hello(device, packet, len);
        if (same != NULL)
            memcpy(welcome, same->welcome, OURO_WELCOME_SIZE);
        else if (made_a_session(link, packet + len - OURO_TAG_SIZE))
            status = OURO_DROP_HANDSHAKE;
        else
            status = answer(server, now, device, &hello, auth, packet, len, session_id, nonce,
                            welcome, moved);
    }
    ouro_erase(auth, sizeof auth);
    return status;
}

bool ouro_device_tell_kind(ouro_device *device, uint64_t now) {
    if (device->kind_told && now - device->kind_ms < KIND_PERIOD_MS)
        return false;
    device->kind_told = true;
    device->kind_ms = now;
    return true;
}

ouro_pending *ouro_server_pending(ouro_server *server, uint32_t session_id) {
    for (size_t i = 0; i < server->pending_count && session_id != 0; i++)
        if (server->pending[i].id == session_id)
            return &server->pending[i];
    return NULL;
}

static ouro_status derive(ouro_server *server, ouro_pending *p) {
    if (p->derived)
        return OURO_OK;
    ouro_slot *slots = server->settings->stream ? NULL : p->slots;
    ouro_status status =
        ouro_handshake_session(&p->session, OURO_SERVER, &p->device->credential, p->hello,
                               p->hello_len, p->welcome, slots, OURO_MIN_REACH);
    /* Before the first packet is spent, so that ouro_server_adopt cannot fail half way. */
    const ouro_credential *c = &p->device->credential;
    if (status == OURO_OK && c->evolving) {
        memcpy(p->next_key, c->key, OURO_KEY_SIZE);
        status = ouro_epoch_advance(p->next_key, c->epoch, 1);
    }
    p->derived = status == OURO_OK;
    return status;
}

ouro_status ouro_server_open(ouro_server *server, uint64_t now, ouro_pending *pending,
                             uint8_t *packet, size_t len, ouro_opened *opened) {
    memset(opened, 0, sizeof *opened);
    if (pending == NULL)
        return OURO_DROP_SESSION;
    ouro_status status =
        ouro_packet_decode(packet, len, server->settings->max_body, &opened->header);
    if (status != OURO_OK)
        return status;
    if (opened->header.type == OURO_HELLO || opened->header.type == OURO_WELCOME)
        return OURO_DROP_HANDSHAKE;
    if (now - pending->created_ms >= OURO_PENDING_MS) {
        release(server, pending);
        return OURO_DROP_SESSION;
    }
    if (!allows(server, &pending->device->confirms, now))
        return OURO_DROP_LIMIT;
    bool data = opened->header.type == OURO_DATA;
    if (server->settings->stream && opened->header.counter != 0)
        return OURO_DROP_REPLAY;
    status = derive(server, pending);
    if (status == OURO_OK)
        status =
            data ? ouro_session_open(&pending->session, &opened->header, packet, &opened->body)
                 : ouro_tail_open(&pending->session.tail, &opened->header, packet, &opened->body);
    opened->status = status;
    return status == OURO_DROP_NONSENSE ? OURO_OK : status;
}

ouro_status ouro_server_adopt(ouro_server *server, uint64_t now, ouro_pending *pending,
                              ouro_link *link, const ouro_addr *from, const ouro_opened *opened,
                              bool *moved) {
    ouro_device *device = pending->device;
    *moved = false;
    if (!ouro_source_fits(link, from))
        return OURO_ERR_ARGUMENT;
    if (link->settings->role != OURO_SERVER || link->inbox_full || !pending->derived ||
        (link->flags & (LINK_CLOSING | LINK_CLOSED)) ||
        link->settings->reach != server->settings->reach ||
        link->settings->stream != server->settings->stream) {
        /* Its first message is spent and not handed on: only a new session can bring it again. */
        release(server, pending);
        return OURO_ERR_STATE;
    }
    ouro_slot *slots;
    ouro_session *session = ouro_sessions_new(link, &slots);
    *session = pending->session;
    if (slots != NULL)
        ouro_window_move(&session->window, slots, link->settings->reach);
    ouro_sessions_enter(link, session, now);
    if (session->path != NULL) {
        /* After a dead path the device is often elsewhere: what is sent again goes there, too. */
        for (size_t i = 0; from != NULL && i < OURO_MAX_SESSIONS && link->live[i] != NULL; i++)
            ouro_tail_full(link->live[i])->path->known = *from;
        memcpy(session->path->hello_tag, pending->hello + pending->hello_len - OURO_TAG_SIZE,
               OURO_TAG_SIZE);
    }
    device->confirms.left--;
    /* Those made before it go; the list is newest first. */
    while (pending->next != NULL)
        release(server, pending->next);
    if (device->credential.evolving) {
        memcpy(device->credential.key, pending->next_key, OURO_KEY_SIZE);
        device->credential.epoch++;
        ouro_ahead_drop(server, device);
        drop_all(server, device);
        *moved = true;
        link->flags |= LINK_HOLD;
    } else {
        for (ouro_pending *p = device->pending; p != pending; p = p->next)
            p->number += p->number == pending->number;
        release(server, pending);
    }
    ouro_policy_confirmed(link, now);
    ouro_receive_take(link, now, &session->tail, from, &opened->header, &opened->body,
                      opened->status);
    if (link->settings->stream && opened->status != OURO_OK)
        link->flags |= LINK_BROKEN;
    return OURO_OK;
}

uint64_t ouro_server_tick(ouro_server *server, uint64_t now) {
    uint64_t next = ouro_ahead_tick(server, now);
    for (size_t i = 0; i < server->pending_count && server->pending_used > 0; i++) {
        ouro_pending *p = &server->pending[i];
        if (p->device == NULL)
            continue;
        if (now - p->created_ms >= OURO_PENDING_MS)
            release(server, p);
        else
            next = OURO_MIN(next, p->created_ms + OURO_PENDING_MS);
    }
    return next;
}

void ouro_server_erase(ouro_server *server) {
    ouro_erase(server->pending, server->pending_count * sizeof *server->pending);
    ouro_ahead_erase(server);
    ouro_erase(server, sizeof *server);
}
