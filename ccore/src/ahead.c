#include "ahead_internal.h"

#include "numbers.h"
#include <string.h>

enum {
    DERIVATIONS_SECOND = 10000,
    AHEAD_MS = 60000,
    AHEAD_DERIVATIONS = 2 * (OURO_EPOCHS_AHEAD - 1)
};

/* Derivations a second; at least what one table takes. */
static uint64_t budget_of(const ouro_server_settings *settings) {
    uint64_t second = settings->derivations_second;
    return second == 0 ? DERIVATIONS_SECOND : OURO_MAX(second, AHEAD_DERIVATIONS);
}

void ouro_ahead_init(ouro_server *server, ouro_ahead *ahead, size_t count, uint64_t now) {
    server->ahead = ahead;
    server->ahead_count = ahead == NULL ? 0 : count;
    if (server->ahead_count > 0)
        memset(ahead, 0, server->ahead_count * sizeof *ahead);
    server->budget_ms = now;
    server->budget = budget_of(server->settings);
}

void ouro_ahead_drop(ouro_server *server, ouro_device *device) {
    device->ahead_made = false;
    for (size_t i = 0; i < server->ahead_count; i++)
        if (server->ahead[i].device == device)
            ouro_erase(&server->ahead[i], sizeof server->ahead[i]);
}

static void refill_budget(ouro_server *server, uint64_t now) {
    uint64_t most = budget_of(server->settings);
    uint64_t second = server->settings->derivations_second;
    /* What takes longer to refill than the whole budget is the whole budget: no product wraps. */
    uint64_t passed = OURO_MIN(now - server->budget_ms, (uint64_t)AHEAD_DERIVATIONS * 1000);
    uint64_t more = passed * (second != 0 ? second : most) / 1000;
    if (more == 0)
        return;
    server->budget = OURO_MIN(server->budget + more, most);
    server->budget_ms = now;
}

static bool is_live(const ouro_ahead *ahead, uint64_t now) {
    return ahead->device != NULL && now - ahead->made_ms < AHEAD_MS;
}

static ouro_ahead *table_of(const ouro_server *server, const ouro_device *device, uint64_t now) {
    for (size_t i = 0; i < server->ahead_count; i++) {
        ouro_ahead *a = &server->ahead[i];
        if (is_live(a, now) && a->device == device && a->epoch == device->credential.epoch)
            return a;
    }
    return NULL;
}

/* One that is not in use; else the one derived first gives way. NULL where there are none. */
static ouro_ahead *place_for(const ouro_server *server, uint64_t now) {
    ouro_ahead *oldest = NULL;
    for (size_t i = 0; i < server->ahead_count; i++) {
        ouro_ahead *a = &server->ahead[i];
        if (!is_live(a, now))
            return a;
        if (oldest == NULL || a->made_ms < oldest->made_ms)
            oldest = a;
    }
    return oldest;
}

/* K_auth of e + 2 to e + 1024, derived once and kept for a minute (section 3). */
static ouro_ahead *ahead_of(ouro_server *server, ouro_device *device, uint64_t now) {
    ouro_ahead *table = table_of(server, device, now);
    if (table != NULL)
        return table;
    /* Whose table gave way has had its turn: else forged HELLOs of a few would use up all turns. */
    if (device->ahead_made && now - device->ahead_ms < AHEAD_MS)
        return NULL;
    table = place_for(server, now);
    refill_budget(server, now);
    if (table == NULL || server->budget < AHEAD_DERIVATIONS)
        return NULL;
    server->budget -= AHEAD_DERIVATIONS;
    uint64_t epoch = device->credential.epoch;
    uint8_t key[OURO_KEY_SIZE];
    memcpy(key, device->credential.key, sizeof key);
    ouro_status status = ouro_epoch_advance(key, epoch, 1);
    for (size_t i = 0; i < OURO_EPOCHS_AHEAD - 1 && status == OURO_OK; i++) {
        status = ouro_epoch_advance(key, epoch + 1 + i, 1);
        if (status == OURO_OK)
            status = ouro_auth_key(key, epoch + 2 + i, table->auth[i]);
    }
    ouro_erase(key, sizeof key);
    device->ahead_made = status == OURO_OK;
    device->ahead_ms = now;
    if (status != OURO_OK) {
        ouro_erase(table, sizeof *table);
        return NULL;
    }
    table->device = device;
    table->epoch = epoch;
    table->made_ms = now;
    return table;
}

ouro_status ouro_ahead_key(ouro_server *server, ouro_device *device, uint64_t steps, uint64_t now,
                           uint8_t auth[OURO_KEY_SIZE]) {
    const ouro_ahead *ahead = ahead_of(server, device, now);
    if (ahead == NULL)
        return OURO_DROP_LIMIT;
    memcpy(auth, ahead->auth[steps - 2], OURO_KEY_SIZE);
    return OURO_OK;
}

uint64_t ouro_ahead_tick(ouro_server *server, uint64_t now) {
    uint64_t next = OURO_NEVER;
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

void ouro_ahead_erase(ouro_server *server) {
    if (server->ahead_count > 0)
        ouro_erase(server->ahead, server->ahead_count * sizeof *server->ahead);
}
