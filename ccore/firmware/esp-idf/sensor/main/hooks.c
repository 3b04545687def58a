/*
 * Hooks of the sensor on ESP-IDF beside those of socket_hooks.c: the random number generator, and
 * NVS. README.md says what stands there.
 */
#include "bare_hooks.h"
#include "esp_log.h"
#include "esp_random.h"
#include "esp_system.h"
#include "esp_timer.h"
#include "nvs.h"
#include "provisioned.h"
#include "sensor.h"
#include "sleepy_hooks.h"
#include "socket_hooks.h"
#include "stored_credential.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE "ouroboros"
#define TAG "sensor"

/* A device that cannot keep its state must not go on: it starts anew. */
static nvs_handle_t store(void) {
    static nvs_handle_t handle;
    static bool opened;
    if (!opened && nvs_open(STORE, NVS_READWRITE, &handle) != ESP_OK)
        abort();
    opened = true;
    return handle;
}

static void put(const char *name, const void *bytes, size_t len) {
    if (nvs_set_blob(store(), name, bytes, len) != ESP_OK || nvs_commit(store()) != ESP_OK)
        abort();
}

static size_t get(const char *name, void *out, size_t cap) {
    size_t len = cap;
    return nvs_get_blob(store(), name, out, &len) == ESP_OK ? len : 0;
}

bool provisioned(const char *name, char *out, size_t cap) {
    return nvs_get_str(store(), name, out, &cap) == ESP_OK;
}

/* Both of them from one place. */
const ouro_gateway_name *hook_gateway(void) {
    static ouro_gateway_name gateway;
    if (gateway.port == 0 &&
        (!provisioned("host", gateway.name, sizeof gateway.name) ||
         nvs_get_u16(store(), "port", &gateway.port) != ESP_OK || gateway.port == 0)) {
        strlcpy(gateway.name, CONFIG_SENSOR_GATEWAY_NAME, sizeof gateway.name);
        gateway.port = CONFIG_SENSOR_GATEWAY_PORT;
    }
    return &gateway;
}

void hook_say(const char *line) {
    ESP_LOGW(TAG, "%s", line);
}

uint64_t hook_now_ms(void) {
    return (uint64_t)esp_timer_get_time() / 1000;
}

/* True random numbers while Wi-Fi is on (ESP-IDF's guide on random number generation). */
void hook_random(uint8_t *out, size_t len) {
    esp_fill_random(out, len);
}

bool hook_load_credential(ouro_credential *credential) {
    uint8_t bytes[STORED_CREDENTIAL_MAX];
    size_t len = sizeof bytes;
    esp_err_t why = nvs_get_blob(store(), "credential", bytes, &len);
    if (why != ESP_OK) {
        ESP_LOGE(TAG,
                 "no credential in NVS (%s): flash what `ouroboros device new --nvs` is made into",
                 esp_err_to_name(why));
        return false;
    }
    ouro_blob_flaw flaw = stored_credential_read(bytes, len, credential);
    ouro_erase(bytes, sizeof bytes);
    if (flaw != OURO_BLOB_SOUND)
        ESP_LOGE(TAG, "the credential in NVS %s", ouro_blob_flaw_text(flaw));
    return flaw == OURO_BLOB_SOUND;
}

/* NVS keeps the one before until the new one is whole. */
void hook_store_credential(const ouro_credential *credential) {
    uint8_t blob[OURO_BLOB_SIZE];
    ouro_blob_write(credential, blob);
    put("credential", blob, sizeof blob);
    ouro_erase(blob, sizeof blob);
}

void hook_store_session(const uint8_t *saved, size_t len) {
    put("session", saved, len);
}

/* NVS writes a tombstone: after the commit the session is void. */
size_t hook_take_session(uint8_t *out, size_t cap, uint64_t *slept_ms) {
    size_t len = get("session", out, cap);
    if (len > 0 && (nvs_erase_key(store(), "session") != ESP_OK || nvs_commit(store()) != ESP_OK))
        abort();
    *slept_ms = (uint64_t)CONFIG_SENSOR_SLEEP_SECONDS * 1000;
    return len;
}

/* One reading a night; put yours here. */
size_t hook_reading(uint8_t *out, size_t cap) {
    static bool sent;
    if (sent)
        return 0;
    sent = true;
    int len = snprintf((char *)out, cap, "{\"heap\":%lu}", (unsigned long)esp_get_free_heap_size());
    return len > 0 && (size_t)len < cap ? (size_t)len : 0;
}

void hook_command(const uint8_t *data, size_t len) {
    printf("command: %.*s\n", (int)len, (const char *)data);
}
