#include "ouroboros/server.h"

#include "bytes.h"
#include "crypto.h"
#include "link_internal.h"
#include <string.h>

enum {
    CHALLENGE_SLICE_MS = 10000,
    CONFIRM_BURST = 60,
    CONFIRM_PERIOD_MS = 1000,
    DERIVATIONS_SECOND = 10000,
    AHEAD_MS = 60000,
    MAX_PREFIX_BITS = 16,
    AHEAD_DERIVATIONS = 2 * (OURO_EPOCHS_AHEAD - 1)
};

/* Derivations a second; at least what one table takes. */
static uint64_t budget_of(const ouro_server_settings *settings) {
    uint64_t second = settings->derivations_second;
    return second == 0 ? DERIVATIONS_SECOND : OURO_MAX(second, AHEAD_DERIVATIONS);
}

ouro_status ouro_server_init(ouro_server *server, const ouro_server_settings *settings,
                             ouro_pending *pending, size_t pending_count, ouro_ahead *ahead,
                             size_t ahead_count, const uint8_t challenge_key[32], uint64_t now) {
    memset(server, 0, sizeof *server);
    if (settings->reach < OURO_MIN_REACH || settings->reach > OURO_MAX_REACH ||
        settings->max_body < OURO_MIN_MAX_BODY || settings->max_body > OURO_MAX_BODY ||
        pending_count == 0 || ahead_count > OURO_AHEAD_DEVICES ||
        settings->id_prefix_bits > MAX_PREFIX_BITS ||
        settings->id_prefix >> settings->id_prefix_bits != 0)
        return OURO_ERR_ARGUMENT;
    server->settings = settings;
    server->pending = pending;
    server->pending_count = pending_count;
    server->ahead = ahead;
    server->ahead_count = ahead == NULL ? 0 : ahead_count;
    memcpy(server->challenge_key, challenge_key, sizeof server->challenge_key);
    memset(pending, 0, pending_count * sizeof *pending);
    if (server->ahead_count > 0)
        memset(ahead, 0, server->ahead_count * sizeof *ahead);
    for (size_t i = pending_count; i-- > 0;) {
        pending[i].next = server->free;
        server->free = &pending[i];
    }
    server->budget_ms = now;
    server->budget = budget_of(settings);
    return OURO_OK;
}

void ouro_server_set_wall_clock(ouro_server *server, uint64_t now, uint64_t wall) {
    server->wall_offset = wall - now;
}

/* Of this server's time, or of all gateways' that share its challenge key. */
static uint64_t slice_at(const ouro_server *server, uint64_t now) {
    return (now + server->wall_offset) / CHALLENGE_SLICE_MS;
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

static void drop_ahead(ouro_server *server, const ouro_device *device) {
    for (size_t i = 0; i < server->ahead_count; i++)
        if (server->ahead[i].device == device)
            ouro_erase(&server->ahead[i], sizeof server->ahead[i]);
}

void ouro_server_drop_pending(ouro_server *server, ouro_device *device) {
    while (device->pending != NULL)
        release(server, device->pending);
}

void ouro_server_forget(ouro_server *server, ouro_device *device) {
    ouro_server_drop_pending(server, device);
    drop_ahead(server, device);
    ouro_erase(device, sizeof *device);
}

static ouro_status make_challenge(const ouro_server *server, uint64_t slice,
                                  const ouro_hello *hello, uint8_t challenge[16]) {
    uint8_t number[8], mac[32] = {0};
    ouro_hmac hmac;
    ouro_span parts[3] = {{number, sizeof number},
                          {hello->device_id, sizeof hello->device_id},
                          {hello->nonce, sizeof hello->nonce}};
    store_u64(number, slice);
    ouro_status status = ouro_hmac_init(&hmac, server->challenge_key);
    if (status == OURO_OK)
        status = ouro_hmac_mac(&hmac, parts, 3, mac);
    ouro_hmac_clear(&hmac);
    memcpy(challenge, mac, OURO_CHALLENGE_SIZE);
    ouro_erase(mac, sizeof mac);
    return status;
}

/* A challenge of this slice of time or of the last one holds. */
static bool challenge_holds(const ouro_server *server, uint64_t now, const ouro_hello *hello) {
    uint64_t slice = slice_at(server, now);
    uint8_t challenge[OURO_CHALLENGE_SIZE];
    for (unsigned back = 0; hello->has_challenge && back < 2 && back <= slice; back++)
        if (make_challenge(server, slice - back, hello, challenge) == OURO_OK &&
            ouro_equal(challenge, hello->challenge, sizeof challenge))
            return true;
    return false;
}

static void refill_budget(ouro_server *server, uint64_t now) {
    uint64_t most = budget_of(server->settings);
    uint64_t second = server->settings->derivations_second;
    uint64_t more = (now - server->budget_ms) * (second != 0 ? second : most) / 1000;
    if (more == 0)
        return;
    server->budget = OURO_MIN(server->budget + more, most);
    server->budget_ms = now;
}

/* K_auth of e + 2 to e + 1024, derived once and kept for a minute (section 3). */
static ouro_ahead *ahead_of(ouro_server *server, const ouro_device *device, uint64_t now) {
    ouro_ahead *free = NULL;
    uint64_t epoch = device->credential.epoch;
    for (size_t i = 0; i < server->ahead_count; i++) {
        ouro_ahead *a = &server->ahead[i];
        bool live = a->device != NULL && now - a->made_ms < AHEAD_MS;
        if (live && a->device == device && a->epoch == epoch)
            return a;
        if (!live)
            free = a;
    }
    refill_budget(server, now);
    if (free == NULL || server->budget < AHEAD_DERIVATIONS)
        return NULL;
    server->budget -= AHEAD_DERIVATIONS;
    uint8_t key[OURO_KEY_SIZE];
    memcpy(key, device->credential.key, sizeof key);
    ouro_status status = ouro_epoch_advance(key, epoch, 1);
    for (size_t i = 0; i < OURO_EPOCHS_AHEAD - 1 && status == OURO_OK; i++) {
        status = ouro_epoch_advance(key, epoch + 1 + i, 1);
        if (status == OURO_OK)
            status = ouro_auth_key(key, epoch + 2 + i, free->auth[i]);
    }
    ouro_erase(key, sizeof key);
    free->device = status == OURO_OK ? device : NULL;
    free->epoch = epoch;
    free->made_ms = now;
    return status == OURO_OK ? free : NULL;
}

/* The key that this HELLO's tag is to be checked with. */
static ouro_status auth_of(ouro_server *server, const ouro_device *device, uint64_t epoch,
                           uint64_t now, uint8_t auth[32]) {
    const ouro_credential *c = &device->credential;
    if (epoch < c->epoch || (!c->evolving && epoch != c->epoch) ||
        epoch - c->epoch > OURO_EPOCHS_AHEAD)
        return OURO_DROP_EPOCH;
    uint64_t steps = epoch - c->epoch;
    if (steps > 1) {
        const ouro_ahead *ahead = ahead_of(server, device, now);
        if (ahead == NULL)
            return OURO_DROP_LIMIT;
        memcpy(auth, ahead->auth[steps - 2], OURO_KEY_SIZE);
        return OURO_OK;
    }
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
        const ouro_session *session = ouro_full(link->live[i]);
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
    drop_ahead(server, device);
    ouro_server_drop_pending(server, device);
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
    bool fresh = challenge_holds(server, now, hello);
    bool many = count_pending(device, false, &oldest) >= OURO_PENDING_PER_DEVICE;
    if (!fresh && (many || server->free == NULL)) {
        ouro_status status = make_challenge(server, slice_at(server, now), hello, w.nonce);
        return status == OURO_OK ? ouro_welcome_write(&w, auth, packet, len, welcome) : status;
    }
    if (session_id == 0 || ouro_server_session_id(server->settings, session_id) != session_id ||
        ouro_server_pending(server, session_id) != NULL)
        return OURO_ERR_ARGUMENT;
    /* Each move is a durable write: no holder of a key wears out a registry (section 3). */
    bool ahead = hello->epoch > device->credential.epoch;
    if (ahead && !allows(server, &device->moves, now))
        return OURO_DROP_LIMIT;
    ouro_status status = fresh ? make_room(server, device) : OURO_OK;
    if (status == OURO_OK && ahead) {
        device->moves.left--;
        status = move_to(server, device, hello->epoch);
        *moved = status == OURO_OK;
    }
    if (status != OURO_OK)
        return status;
    w.session_id = session_id;
    memcpy(w.nonce, nonce, sizeof w.nonce);
    w.reach = server->settings->reach;
    w.max_body = server->settings->max_body;
    status = ouro_welcome_write(&w, auth, packet, len, welcome);
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
    ouro_status status = ouro_hello_read(packet, len, &hello);
    if (status != OURO_OK)
        return status;
    if (!ouro_equal(hello.device_id, device->credential.device_id, OURO_DEVICE_ID_SIZE))
        return OURO_ERR_ARGUMENT;
    expire_pending(server, device, now);
    status = auth_of(server, device, hello.epoch, now, auth);
    if (status == OURO_OK)
        status = ouro_hello_verify(auth, packet, len);
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
    p->derived = status == OURO_OK;
    return status;
}

ouro_status ouro_server_open(ouro_server *server, uint64_t now, ouro_pending *pending,
                             uint8_t *packet, size_t len, ouro_opened *opened) {
    memset(opened, 0, sizeof *opened);
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
    if (link->settings->role != OURO_SERVER || link->inbox_full || !pending->derived ||
        (link->flags & (LINK_CLOSING | LINK_CLOSED)) ||
        link->settings->reach != server->settings->reach ||
        link->settings->stream != server->settings->stream) {
        /* Its first message is spent and not handed on: only a new session can bring it again. */
        release(server, pending);
        return OURO_ERR_STATE;
    }
    ouro_slot *slots;
    ouro_session *session = ouro_link_new_session(link, now, &slots);
    *session = pending->session;
    if (slots != NULL)
        ouro_window_move(&session->window, slots, link->settings->reach);
    ouro_link_enter(link, session, now);
    if (session->path != NULL) {
        session->path->known = *from;
        memcpy(session->path->hello_tag, pending->hello + pending->hello_len - OURO_TAG_SIZE,
               OURO_TAG_SIZE);
    }
    device->confirms.left--;
    /* Those made before it go; the list is newest first. */
    while (pending->next != NULL)
        release(server, pending->next);
    uint64_t left = device->credential.epoch + 1;
    release(server, pending);
    ouro_status status = OURO_OK;
    if (device->credential.evolving) {
        status = move_to(server, device, left);
        *moved = true;
        link->flags |= LINK_HOLD;
    }
    ouro_link_confirmed(link, now);
    ouro_link_take(link, now, &session->tail, from, &opened->header, &opened->body, opened->status);
    if (link->settings->stream && opened->status != OURO_OK)
        link->flags |= LINK_BROKEN;
    return status;
}

uint64_t ouro_server_tick(ouro_server *server, uint64_t now) {
    uint64_t next = OURO_NEVER;
    for (size_t i = 0; i < server->pending_count && server->pending_used > 0; i++) {
        ouro_pending *p = &server->pending[i];
        if (p->device == NULL)
            continue;
        if (now - p->created_ms >= OURO_PENDING_MS)
            release(server, p);
        else
            next = OURO_MIN(next, p->created_ms + OURO_PENDING_MS);
    }
    for (size_t i = 0; i < server->ahead_count; i++) {
        ouro_ahead *a = &server->ahead[i];
        if (a->device == NULL)
            continue;
        if (now - a->made_ms >= AHEAD_MS)
            ouro_erase(a, sizeof *a);
        else
            next = OURO_MIN(next, a->made_ms + AHEAD_MS);
    }
    return next;
}

void ouro_server_erase(ouro_server *server) {
    ouro_erase(server->pending, server->pending_count * sizeof *server->pending);
    if (server->ahead_count > 0)
        ouro_erase(server->ahead, server->ahead_count * sizeof *server->ahead);
    ouro_erase(server, sizeof *server);
}
