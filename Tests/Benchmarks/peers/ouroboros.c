/*
 * The engine, client and server. Messages are reliable, with the engine's acknowledgements;
 * compiled with UNRELIABLE they are sent once and nothing is acknowledged, as in DTLS.
 */
#include "peer.h"

#include "ouroboros/ouroboros.h"
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#ifdef UNRELIABLE
static const bool reliable = false;
#else
static const bool reliable = true;
#endif

enum { REACH = 32, PLACES = 32, SHARED_PLACES = 1024, PENDING = 4 };

/* What one end keeps of its peer. A server has no places of its own: its links share a pool. */
struct peer_end {
    wire_end *wire;
    bool is_server, is_linked;
    ouro_memory memory;
    ouro_link link;
    ouro_event message; /* taken from the link, and not yet by peer_receive */
    void *parts[6];
    ouro_device device;
    ouro_pool pool;
};

static const ouro_settings client_settings = {
    .role = OURO_CLIENT, .reach = REACH, .max_body = OURO_MAX_BODY};
static const ouro_settings server_settings = {
    .role = OURO_SERVER, .reach = REACH, .max_body = OURO_MAX_BODY};
static const ouro_server_settings handshakes = {.reach = REACH, .max_body = OURO_MAX_BODY};
static ouro_server server;
static ouro_pending pending_sessions[PENDING];
static ouro_pool shared_pool;
static uint64_t shared_memory[SHARED_PLACES * (sizeof(ouro_place) + OURO_MAX_PACKET) / 8];
/* A message stays in here until the next packet is received. */
static uint8_t packet[OURO_MAX_PACKET];

static void must(ouro_status status) {
    if (status != OURO_OK)
        fail(ouro_status_name(status));
}

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void random_bytes(void *out, size_t len) {
    if (getrandom(out, len, 0) != (ssize_t)len)
        fail("no random bytes");
}

static ouro_credential credential(void) {
    ouro_credential made;
    memset(&made, 0, sizeof made);
    memcpy(made.device_id, peer_identity, sizeof made.device_id);
    memcpy(made.key, peer_key, sizeof made.key);
    return made;
}

void peer_start(void) {
    uint8_t challenge_key[32];
    random_bytes(challenge_key, sizeof challenge_key);
    must(ouro_server_init(&server, &handshakes, pending_sessions, PENDING, NULL, 0, challenge_key,
                          now_ms()));
    must(ouro_pool_init(&shared_pool, shared_memory, sizeof shared_memory, OURO_MAX_PACKET));
}

static void *part(peer_end *end, int index, size_t size) {
    void *memory = calloc(1, size);
    if (memory == NULL)
        fail("out of memory");
    end->parts[index] = memory;
    return memory;
}

static void make_link(peer_end *end) {
    ouro_credential own = credential();
    uint32_t seed;
    random_bytes(&seed, sizeof seed);
    must(ouro_link_init(&end->link, end->is_server ? &server_settings : &client_settings,
                        &end->memory, end->is_server ? NULL : &own, seed));
    end->is_linked = true;
}

/* A client: one session and two tails; a server: two sessions, and where the device is. */
peer_end *peer_open(bool is_server, wire_end *wire) {
    peer_end *end = calloc(1, sizeof *end);
    size_t sessions = is_server ? 2 : 1, places = ouro_pool_memory(PLACES, OURO_MAX_PACKET);
    if (end == NULL)
        fail("out of memory");
    end->wire = wire;
    end->is_server = is_server;
    end->memory = (ouro_memory){.sessions = part(end, 0, sessions * sizeof(ouro_session)),
                                .slots = part(end, 1, sessions * 2 * REACH * sizeof(ouro_slot)),
                                .session_count = (uint8_t)sessions};
    if (is_server) {
        ouro_credential own = credential();
        end->memory.paths = part(end, 2, sessions * sizeof(ouro_path));
        end->memory.pool = &shared_pool;
        ouro_device_init(&end->device, &own);
    } else {
        end->memory.client = part(end, 3, sizeof(ouro_client));
        end->memory.tails = part(end, 4, 2 * sizeof(ouro_tail));
        end->memory.tail_count = 2;
        end->memory.pool = &end->pool;
        must(ouro_pool_init(&end->pool, part(end, 5, places), places, OURO_MAX_PACKET));
        make_link(end);
        must(ouro_link_connect(&end->link, now_ms()));
    }
    return end;
}

void peer_close(peer_end *end) {
    if (end->is_linked)
        ouro_link_erase(&end->link);
    if (end->is_server)
        ouro_server_forget(&server, &end->device);
    for (size_t i = 0; i < sizeof end->parts / sizeof end->parts[0]; i++)
        free(end->parts[i]);
    free(end);
}

/* All events, which frees the places of messages that have their outcome; up to a message. */
static void take_events(peer_end *end) {
    ouro_event event;
    uint8_t nonce[OURO_NONCE_SIZE];
    while (end->message.type == OURO_EVENT_NONE && ouro_link_next_event(&end->link, &event)) {
        switch (event.type) {
        case OURO_EVENT_NONCE:
            random_bytes(nonce, sizeof nonce);
            must(ouro_link_nonce(&end->link, nonce));
            break;
        case OURO_EVENT_MESSAGE:
            end->message = event;
            return;
        case OURO_EVENT_UNKNOWN:
        case OURO_EVENT_FAILED:
        case OURO_EVENT_CLOSED:
            fail("the engine lost a message or the session");
        default:
            break;
        }
    }
}

static void transmit(peer_end *end) {
    uint8_t scratch[OURO_SCRATCH_SIZE];
    ouro_datagram out;
    do {
        must(ouro_link_transmit(&end->link, now_ms(), scratch, &out));
        if (out.len > 0)
            wire_send(end->wire, out.data, out.len);
    } while (out.len > 0);
    take_events(end);
}

static void answer_hello(peer_end *end, size_t len) {
    static uint32_t last_id;
    uint8_t nonce[OURO_NONCE_SIZE], welcome[OURO_WELCOME_SIZE];
    bool moved;
    random_bytes(nonce, sizeof nonce);
    must(ouro_server_hello(&server, now_ms(), &end->device, NULL, packet, len, ++last_id, nonce,
                           welcome, &moved));
    wire_send(end->wire, welcome, sizeof welcome);
}

static void confirm(peer_end *end, size_t len) {
    static const ouro_addr device_address = {.len = 1};
    ouro_pending *pending = ouro_server_pending(&server, ouro_packet_session_id(packet, len));
    ouro_opened opened;
    bool moved;
    if (pending == NULL)
        fail("a packet of no session");
    must(ouro_server_open(&server, now_ms(), pending, packet, len, &opened));
    make_link(end);
    must(ouro_server_adopt(&server, now_ms(), pending, &end->link, &device_address, &opened,
                           &moved));
}

static void take_packet(peer_end *end, size_t len) {
    static const ouro_addr device_address = {.len = 1};
    if (!end->is_linked && (packet[0] & 15) == OURO_HELLO) {
        answer_hello(end, len);
        return;
    }
    if (end->is_linked) {
        const ouro_addr *from = end->is_server ? &device_address : NULL;
        ouro_status status = ouro_link_receive(&end->link, now_ms(), from, packet, len);
        /* Under load a packet may be sent twice. */
        if (!ouro_is_drop(status))
            must(status);
    } else {
        confirm(end, len);
    }
    take_events(end);
}

static int patience(const peer_end *end) {
    uint64_t now = now_ms();
    uint64_t due = end->is_linked ? ouro_link_deadline(&end->link, now) : OURO_NEVER;
    uint64_t left = due > now ? due - now : 0;
    return left < (uint64_t)end->wire->patience_ms ? (int)left : end->wire->patience_ms;
}

/* Takes one packet, waited for with patience; false when none came and no timer was due. */
static bool run(peer_end *end) {
    size_t len = wire_take(end->wire, packet, sizeof packet);
    if (len == 0) {
        /* All that came was read: acknowledgements go out together. */
        if (end->is_linked)
            transmit(end);
        if (!wire_wait(end->wire, patience(end))) {
            if (!end->is_linked || ouro_link_deadline(&end->link, now_ms()) > now_ms())
                return false;
            ouro_link_tick(&end->link, now_ms());
            transmit(end);
            return true;
        }
        len = wire_take(end->wire, packet, sizeof packet);
    }
    if (len > 0)
        take_packet(end, len);
    return true;
}

bool peer_handshake(peer_end *end) {
    uint64_t packets = end->wire->packets;
    if (end->is_linked)
        take_events(end);
    (void)run(end);
    /* A server has answered; the first message confirms the session. */
    return end->is_server ? end->wire->packets > packets : ouro_link_is_open(&end->link);
}

void peer_send(peer_end *end, const uint8_t *message, size_t len) {
    ouro_message out = {.data = message, .len = len, .reliable = reliable};
    uint32_t id;
    ouro_status status;
    while ((status = ouro_link_send(&end->link, now_ms(), &out, &id)) == OURO_ERR_NO_PLACE)
        if (!run(end))
            fail("no place becomes free");
    must(status);
    transmit(end);
}

size_t peer_receive(peer_end *end, uint8_t *message, size_t capacity) {
    while (end->message.type == OURO_EVENT_NONE)
        if (!run(end))
            return 0;
    size_t len = end->message.len < capacity ? end->message.len : capacity;
    memcpy(message, end->message.data, len);
    ouro_link_done(&end->link, end->message.session_id, end->message.counter);
    end->message.type = OURO_EVENT_NONE;
    take_events(end);
    return len;
}
