/*
 * The engine on a POSIX UDP socket: sends one line to a gateway and says whether it was delivered.
 *
 *     posix_client HOST PORT DEVICE_ID KEY_FILE LINE
 *
 * DEVICE_ID is 16 hexadecimal digits; KEY_FILE holds the root key of a fixed credential, 64 of
 * them. The loop is that of bare_loop.c, with poll in place of the board's sleep.
 */
#include "ouroboros/ouroboros.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REACH = 16, PLACES = 4, SESSIONS = 3 };

static ouro_link link_state;
static ouro_client client;
static ouro_session sessions[SESSIONS];
static ouro_slot slots[SESSIONS * 2 * REACH];
static ouro_pool pool;
static uint64_t pool_memory[PLACES * (sizeof(ouro_place) + OURO_MAX_PACKET) / sizeof(uint64_t)];
static const ouro_settings settings = {
    .role = OURO_CLIENT, .reach = REACH, .max_body = OURO_MAX_BODY};
static const ouro_memory memory = {.sessions = sessions,
                                   .slots = slots,
                                   .client = &client,
                                   .pool = &pool,
                                   .session_count = SESSIONS};

static void fail(const char *what) {
    fprintf(stderr, "posix_client: %s\n", what);
    exit(EXIT_FAILURE);
}

static void must(ouro_status status) {
    if (status != OURO_OK)
        fail(ouro_status_name(status));
}

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void random_bytes(uint8_t *out, size_t len) {
    FILE *file = fopen("/dev/urandom", "rb");
    if (file == NULL || fread(out, 1, len, file) != len)
        fail("no random bytes");
    fclose(file);
}

static bool from_hex(const char *text, uint8_t *out, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return false;
        out[i] = (uint8_t)byte;
    }
    return true;
}

static void read_credential(const char *device_id, const char *path, ouro_credential *credential) {
    char text[2 * OURO_KEY_SIZE + 1] = {0};
    FILE *file = fopen(path, "r");
    memset(credential, 0, sizeof *credential);
    if (file == NULL || fread(text, 1, sizeof text - 1, file) != sizeof text - 1)
        fail("the key file cannot be read");
    fclose(file);
    if (strlen(device_id) != 2 * OURO_DEVICE_ID_SIZE ||
        !from_hex(device_id, credential->device_id, OURO_DEVICE_ID_SIZE) ||
        !from_hex(text, credential->key, OURO_KEY_SIZE))
        fail("the device id or the key is not hexadecimal");
    ouro_erase(text, sizeof text);
}

static int open_socket(const char *host, const char *port) {
    struct addrinfo hints, *found = NULL;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_DGRAM;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        fail("the gateway's name is not known");
    int fd = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0)
        fail("no socket to the gateway");
    freeaddrinfo(found);
    return fd;
}

/* What became of the message; the link's other events are answered here. */
static ouro_event_type take_events(void) {
    ouro_event event;
    ouro_event_type outcome = OURO_EVENT_NONE;
    uint8_t nonce[OURO_NONCE_SIZE];
    while (ouro_link_next_event(&link_state, &event)) {
        switch (event.type) {
        case OURO_EVENT_NONCE:
            random_bytes(nonce, sizeof nonce);
            must(ouro_link_nonce(&link_state, nonce));
            break;
        case OURO_EVENT_MESSAGE:
            printf("%.*s\n", (int)event.len, (const char *)event.data);
            if (event.last)
                ouro_link_done(&link_state, event.session_id, event.counter);
            break;
        case OURO_EVENT_DELIVERED:
        case OURO_EVENT_UNKNOWN:
        case OURO_EVENT_FAILED:
        case OURO_EVENT_CLOSED:
            if (outcome == OURO_EVENT_NONE)
                outcome = event.type;
            break;
        default:
            break;
        }
    }
    return outcome;
}

static void transmit_all(int fd) {
    uint8_t scratch[OURO_SCRATCH_SIZE];
    ouro_datagram out;
    do {
        must(ouro_link_transmit(&link_state, now_ms(), scratch, &out));
        /* A datagram that the system does not take is one that the network lost. */
        if (out.len > 0 && send(fd, out.data, out.len, 0) < 0)
            perror("posix_client: send");
    } while (out.len > 0);
}

static int wait_ms(void) {
    uint64_t now = now_ms(), due = ouro_link_deadline(&link_state, now);
    if (due == OURO_NEVER)
        return -1;
    return due <= now ? 0 : due - now > 60000 ? 60000 : (int)(due - now);
}

/* Runs the link until the message, or the closing, has come to its end. */
static ouro_event_type run(int fd) {
    static uint8_t packet[OURO_MAX_PACKET];
    for (;;) {
        ouro_event_type outcome = take_events();
        transmit_all(fd);
        if (outcome == OURO_EVENT_NONE)
            outcome = take_events();
        if (outcome != OURO_EVENT_NONE)
            return outcome;
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t len = poll(&ready, 1, wait_ms()) > 0 ? recv(fd, packet, sizeof packet, 0) : 0;
        /* A drop is counted in the statistics and needs nothing more. */
        if (len > 0 &&
            ouro_is_drop(ouro_link_receive(&link_state, now_ms(), NULL, packet, (size_t)len)))
            continue;
        if (now_ms() >= ouro_link_deadline(&link_state, now_ms()))
            ouro_link_tick(&link_state, now_ms());
    }
}

int main(int argc, char **argv) {
    ouro_credential credential;
    uint32_t seed, id;
    if (argc != 6)
        fail("usage: posix_client HOST PORT DEVICE_ID KEY_FILE LINE");
    int fd = open_socket(argv[1], argv[2]);
    read_credential(argv[3], argv[4], &credential);
    random_bytes((uint8_t *)&seed, sizeof seed);
    must(ouro_pool_init(&pool, pool_memory, sizeof pool_memory, OURO_MAX_PACKET));
    must(ouro_link_init(&link_state, &settings, &memory, &credential, seed));
    ouro_erase(&credential, sizeof credential);
    ouro_message message = {
        .data = (const uint8_t *)argv[5], .len = strlen(argv[5]), .reliable = true};
    must(ouro_link_send(&link_state, now_ms(), &message, &id));
    ouro_event_type outcome = run(fd);
    puts(outcome == OURO_EVENT_DELIVERED ? "delivered"
         : outcome == OURO_EVENT_UNKNOWN ? "unknown: it may have arrived"
                                         : "failed");
    if (outcome == OURO_EVENT_DELIVERED) {
        must(ouro_link_close(&link_state, now_ms(), OURO_REASON_NORMAL, false));
        (void)run(fd);
    }
    ouro_link_erase(&link_state);
    close(fd);
    return outcome == OURO_EVENT_DELIVERED ? EXIT_SUCCESS : EXIT_FAILURE;
}
