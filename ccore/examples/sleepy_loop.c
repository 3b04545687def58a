/*
 * A sensor on a battery: it wakes, sends its readings in the session that it saved, saves it again
 * and switches itself off. Only the first time, or when a session was lost, it makes a handshake.
 */
#include "bare_hooks.h"
#include "sensor.h"
#include "sleepy_hooks.h"

enum { AWAKE_MS = 30000 };

static uint8_t saved[OURO_SAVED_SIZE(SENSOR_REACH)];

/* A session that cannot be restored is none: the first reading then begins a handshake. */
static bool wake(void) {
    uint64_t slept_ms = 0;
    if (!sensor_start())
        return false;
    size_t len = hook_take_session(saved, sizeof saved, &slept_ms);
    return len == 0 ||
           ouro_link_restore(&sensor_link, hook_now_ms(), slept_ms, saved, len) == OURO_OK ||
           ouro_link_connect(&sensor_link, hook_now_ms()) == OURO_OK;
}

static bool fall_asleep(void) {
    size_t len = 0;
    if (ouro_link_save(&sensor_link, hook_now_ms(), saved, sizeof saved, &len) != OURO_OK)
        return false;
    hook_store_session(saved, len);
    ouro_erase(saved, sizeof saved);
    return true;
}

bool sensor_night(void) {
    if (!wake())
        return false;
    uint64_t end = hook_now_ms() + AWAKE_MS;
    while (sensor_step() || !ouro_link_is_quiet(&sensor_link)) {
        if (hook_now_ms() >= end)
            break;
        uint64_t due = ouro_link_deadline(&sensor_link, hook_now_ms());
        hook_wait_until(due < end ? due : end);
    }
    bool asleep = fall_asleep();
    ouro_link_erase(&sensor_link);
    return asleep && sensor_lost == 0;
}
