/*
 * A sensor's firmware but for its main: no operating system, no heap. Its memory is what the
 * documentation promises of a small client; bare_hooks.h is what it asks of the board.
 */
#include "sensor.h"

#include "bare_hooks.h"

#include <string.h>

ouro_link sensor_link;
unsigned sensor_lost;

static ouro_client client;
static ouro_session session;
static ouro_slot slots[2 * SENSOR_REACH];
static ouro_tail tails[2];
static ouro_prepared prepared;
static ouro_pool pool;
static uint64_t
    pool_memory[(SENSOR_PLACES * (sizeof(ouro_place) + SENSOR_PACKET) + 7) / sizeof(uint64_t)];
static uint8_t packet[SENSOR_PACKET];

/* 0 stands for the default in every field that is not named. */
static const ouro_settings settings = {
    .role = OURO_CLIENT, .reach = SENSOR_REACH, .max_body = SENSOR_PACKET - OURO_OVERHEAD};
static const ouro_memory memory = {.sessions = &session,
                                   .slots = slots,
                                   .tails = tails,
                                   .client = &client,
                                   .prepared = &prepared,
                                   .pool = &pool,
                                   .session_count = 1,
                                   .tail_count = 2};

bool sensor_start(void) {
    ouro_credential credential;
    uint32_t seed;
    sensor_lost = 0;
    if (!hook_load_credential(&credential))
        return false;
    hook_random((uint8_t *)&seed, sizeof seed);
    ouro_status status = ouro_pool_init(&pool, pool_memory, sizeof pool_memory, SENSOR_PACKET);
    if (status == OURO_OK)
        status = ouro_link_init(&sensor_link, &settings, &memory, &credential, seed);
    ouro_erase(&credential, sizeof credential);
    return status == OURO_OK;
}

static void answer_nonce(void) {
    uint8_t nonce[OURO_NONCE_SIZE];
    hook_random(nonce, sizeof nonce);
    /* Refused when the handshake is over meanwhile: nothing is lost. */
    if (ouro_link_nonce(&sensor_link, nonce) != OURO_OK)
        ouro_erase(nonce, sizeof nonce);
}

static void take_events(void) {
    ouro_event event;
    while (ouro_link_next_event(&sensor_link, &event)) {
        switch (event.type) {
        case OURO_EVENT_NONCE:
            answer_nonce();
            break;
        case OURO_EVENT_EPOCH:
            hook_store_credential(&client.credential);
            ouro_link_epoch_saved(&sensor_link);
            break;
        case OURO_EVENT_MESSAGE:
            hook_command(event.data, event.len);
            if (event.last)
                ouro_link_done(&sensor_link, event.session_id, event.counter);
            break;
        case OURO_EVENT_UNKNOWN:
        case OURO_EVENT_FAILED:
            sensor_lost++;
            break;
        default:
            break;
        }
    }
}

static void receive_all(void) {
    size_t len;
    while ((len = hook_receive(packet, sizeof packet)) > 0) {
        /* A drop is counted in the statistics; there is nothing else to do about one. */
        if (ouro_link_receive(&sensor_link, hook_now_ms(), NULL, packet, len) == OURO_OK)
            take_events();
    }
}

/* True if there was one. */
static bool send_reading(void) {
    static uint8_t reading[SENSOR_READING];
    static size_t len;
    uint32_t id;
    if (len == 0)
        len = hook_reading(reading, sizeof reading);
    if (len == 0)
        return false;
    ouro_message message = {.data = reading, .len = len, .reliable = true};
    /* Without a free place it stays here and is tried again. */
    if (ouro_link_send(&sensor_link, hook_now_ms(), &message, &id) != OURO_ERR_NO_PLACE)
        len = 0;
    return true;
}

static void transmit_all(void) {
    uint8_t scratch[OURO_SCRATCH_SIZE];
    ouro_datagram out;
    do {
        /* What cannot be made counts as lost, and there is another turn at once. */
        if (ouro_link_transmit(&sensor_link, hook_now_ms(), scratch, &out) == OURO_OK &&
            out.len > 0)
            hook_send(out.data, out.len);
        take_events();
    } while (out.len > 0);
}

bool sensor_step(void) {
    receive_all();
    bool busy = send_reading();
    if (hook_now_ms() >= ouro_link_deadline(&sensor_link, hook_now_ms()))
        ouro_link_tick(&sensor_link, hook_now_ms());
    transmit_all();
    return busy;
}
