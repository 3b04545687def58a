/* Hooks of the sensor on ESP-IDF: lwIP's sockets, the random number generator, NVS. */
#include "bare_hooks.h"
#include "esp_random.h"
#include "esp_system.h"
#include "esp_timer.h"
#include "lwip/sockets.h"
#include "nvs.h"
#include "sensor.h"
#include "sleepy_hooks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE "ouroboros"

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

static int gateway(void) {
    static int fd = -1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(CONFIG_SENSOR_GATEWAY_PORT)};
    if (fd >= 0)
        return fd;
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || inet_pton(AF_INET, CONFIG_SENSOR_GATEWAY_ADDRESS, &to.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        abort();
    return fd;
}

uint64_t hook_now_ms(void) {
    return (uint64_t)esp_timer_get_time() / 1000;
}

/* True random numbers while Wi-Fi is on (ESP-IDF's guide on random number generation). */
void hook_random(uint8_t *out, size_t len) {
    esp_fill_random(out, len);
}

/* What lwIP does not take is a datagram that the network lost. */
void hook_send(const uint8_t *packet, size_t len) {
    (void)send(gateway(), packet, len, 0);
}

size_t hook_receive(uint8_t *packet, size_t cap) {
    int len = recv(gateway(), packet, cap, MSG_DONTWAIT);
    return len > 0 ? (size_t)len : 0;
}

/* Written by the provisioning step as the engine's own struct. */
void hook_load_credential(ouro_credential *credential) {
    if (get("credential", credential, sizeof *credential) != sizeof *credential)
        abort();
}

void hook_store_credential(const ouro_credential *credential) {
    put("credential", credential, sizeof *credential);
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

void hook_wait_until(uint64_t ms) {
    uint64_t now = hook_now_ms(), left = ms > now ? ms - now : 0;
    if (left > 1000)
        left = 1000;
    struct timeval time = {.tv_usec = (suseconds_t)left * 1000 % 1000000, .tv_sec = left / 1000};
    fd_set ready;
    FD_ZERO(&ready);
    FD_SET(gateway(), &ready);
    (void)select(gateway() + 1, &ready, NULL, NULL, &time);
}
