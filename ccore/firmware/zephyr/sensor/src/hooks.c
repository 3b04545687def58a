/*
 * Hooks of the sensor on Zephyr beside those of socket_hooks.c: its entropy driver, its settings,
 * and the partition in which a device is given its credential.
 */
#include "bare_hooks.h"
#include "sleepy_hooks.h"
#include "socket_hooks.h"
#include "stored_credential.h"

#include <stdio.h>
#include <string.h>
#include <zephyr/kernel.h>
#include <zephyr/random/random.h>
#include <zephyr/settings/settings.h>
#include <zephyr/storage/flash_map.h>

#define CREDENTIAL "ouroboros/credential"
#define GATEWAY "ouroboros/gateway"
#define SESSION "ouroboros/session"

static int64_t stored_at; /* the board's power stays on in this example */

/* A device that cannot keep its state must not go on. */
static void put(const char *name, const void *bytes, size_t len) {
    if (settings_save_one(name, bytes, len) != 0)
        k_panic();
}

struct wanted {
    void *out;
    size_t cap, len;
};

static int take_value(const char *key, size_t len, settings_read_cb read, void *from, void *param) {
    struct wanted *wanted = param;
    ARG_UNUSED(key);
    if (len <= wanted->cap && read(from, wanted->out, len) == (ssize_t)len)
        wanted->len = len;
    return 0;
}

static size_t get(const char *name, void *out, size_t cap) {
    struct wanted wanted = {.out = out, .cap = cap};
    return settings_load_subtree_direct(name, take_value, &wanted) == 0 ? wanted.len : 0;
}

static bool is_erased(const struct flash_area *area, const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != flash_area_erased_val(area))
            return false;
    return true;
}

/* All of it or, where that is not sound, nothing. */
static ouro_blob_flaw keep(const uint8_t bytes[OURO_BLOB_MAX]) {
    const uint8_t *second = bytes + OURO_BLOB_SIZE;
    ouro_credential credential;
    ouro_gateway_name gateway;
    ouro_blob_flaw flaw = ouro_blob_read(bytes, OURO_BLOB_SIZE, &credential);
    ouro_erase(&credential, sizeof credential);
    if (flaw == OURO_BLOB_SOUND)
        flaw = ouro_blob_gateway(second, OURO_BLOB_MAX - OURO_BLOB_SIZE, &gateway);
    if (flaw != OURO_BLOB_SOUND)
        return flaw;
    put(CREDENTIAL, bytes, OURO_BLOB_SIZE);
    if (settings_delete(GATEWAY) != 0 || settings_delete(SESSION) != 0)
        k_panic();
    if (gateway.port != 0)
        put(GATEWAY, second, OURO_GATEWAY_HEAD + strlen(gateway.name));
    return flaw;
}

/*
 * What was flashed for this device is kept in the settings. The partition is erased then: it is
 * taken once, and a key that was left behind is nowhere.
 */
static void take_provisioned(void) {
    const struct flash_area *area;
    uint8_t bytes[OURO_BLOB_MAX];
    if (flash_area_open(FIXED_PARTITION_ID(provision_partition), &area) != 0 ||
        flash_area_read(area, 0, bytes, sizeof bytes) != 0)
        k_panic();
    if (!is_erased(area, bytes, OURO_BLOB_SIZE)) {
        ouro_blob_flaw flaw = keep(bytes);
        if (flaw != OURO_BLOB_SOUND)
            printk("what lies in provision_partition %s\n", ouro_blob_flaw_text(flaw));
        else if (flash_area_erase(area, 0, area->fa_size) != 0)
            k_panic();
    }
    flash_area_close(area);
    ouro_erase(bytes, sizeof bytes);
}

const ouro_gateway_name *hook_gateway(void) {
    static ouro_gateway_name gateway;
    uint8_t second[OURO_BLOB_MAX - OURO_BLOB_SIZE];
    if (gateway.port != 0)
        return &gateway;
    size_t len = get(GATEWAY, second, sizeof second);
    if (ouro_blob_gateway(second, len, &gateway) != OURO_BLOB_SOUND || gateway.port == 0) {
        (void)snprintf(gateway.name, sizeof gateway.name, "%s", CONFIG_SENSOR_GATEWAY_NAME);
        gateway.port = CONFIG_SENSOR_GATEWAY_PORT;
    }
    return &gateway;
}

void hook_say(const char *line) {
    printk("%s\n", line);
}

uint64_t hook_now_ms(void) {
    return (uint64_t)k_uptime_get();
}

void hook_random(uint8_t *out, size_t len) {
    if (sys_csrand_get(out, len) != 0)
        k_panic();
}

bool hook_load_credential(ouro_credential *credential) {
    uint8_t bytes[STORED_CREDENTIAL_MAX];
    take_provisioned();
    size_t len = get(CREDENTIAL, bytes, sizeof bytes);
    ouro_blob_flaw flaw = stored_credential_read(bytes, len, credential);
    ouro_erase(bytes, sizeof bytes);
    if (len == 0)
        printk("no credential: flash what `ouroboros device new --blob` writes\n");
    else if (flaw != OURO_BLOB_SOUND)
        printk("the credential in the settings %s\n", ouro_blob_flaw_text(flaw));
    return flaw == OURO_BLOB_SOUND;
}

/* The settings keep the one before until the new one is whole. */
void hook_store_credential(const ouro_credential *credential) {
    uint8_t blob[OURO_BLOB_SIZE];
    ouro_blob_write(credential, blob);
    put(CREDENTIAL, blob, sizeof blob);
    ouro_erase(blob, sizeof blob);
}

void hook_store_session(const uint8_t *saved, size_t len) {
    put(SESSION, saved, len);
    stored_at = k_uptime_get();
}

size_t hook_take_session(uint8_t *out, size_t cap, uint64_t *slept_ms) {
    size_t len = get(SESSION, out, cap);
    if (len > 0 && settings_delete(SESSION) != 0)
        k_panic();
    *slept_ms = stored_at > 0 ? (uint64_t)(k_uptime_get() - stored_at) : 0;
    return len;
}

/* One reading a night; put yours here. */
size_t hook_reading(uint8_t *out, size_t cap) {
    static int64_t last = -1;
    int64_t night = k_uptime_get() / (CONFIG_SENSOR_SLEEP_SECONDS * MSEC_PER_SEC);
    if (night == last)
        return 0;
    last = night;
    int len = snprintf((char *)out, cap, "{\"uptime\":%lld}", (long long)k_uptime_get());
    return len > 0 && (size_t)len < cap ? (size_t)len : 0;
}

void hook_command(const uint8_t *data, size_t len) {
    printk("command: %.*s\n", (int)len, (const char *)data);
}
