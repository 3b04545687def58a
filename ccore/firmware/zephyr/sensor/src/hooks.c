/* Hooks of the sensor on Zephyr: its sockets, its entropy driver, its settings. */
#include "bare_hooks.h"
#include "sleepy_hooks.h"

#include <stdio.h>
#include <zephyr/kernel.h>
#include <zephyr/net/socket.h>
#include <zephyr/random/random.h>
#include <zephyr/settings/settings.h>

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

static int gateway(void) {
    static int fd = -1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(CONFIG_SENSOR_GATEWAY_PORT)};
    if (fd >= 0)
        return fd;
    fd = zsock_socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
    if (fd < 0 || zsock_inet_pton(AF_INET, CONFIG_SENSOR_GATEWAY_ADDRESS, &to.sin_addr) != 1 ||
        zsock_connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        k_panic();
    return fd;
}

uint64_t hook_now_ms(void) {
    return (uint64_t)k_uptime_get();
}

void hook_random(uint8_t *out, size_t len) {
    if (sys_csrand_get(out, len) != 0)
        k_panic();
}

/* What the stack does not take is a datagram that the network lost. */
void hook_send(const uint8_t *packet, size_t len) {
    (void)zsock_send(gateway(), packet, len, 0);
}

size_t hook_receive(uint8_t *packet, size_t cap) {
    ssize_t len = zsock_recv(gateway(), packet, cap, ZSOCK_MSG_DONTWAIT);
    return len > 0 ? (size_t)len : 0;
}

/* Written by the provisioning step as the engine's own struct. */
void hook_load_credential(ouro_credential *credential) {
    if (get("ouroboros/credential", credential, sizeof *credential) != sizeof *credential)
        k_panic();
}

void hook_store_credential(const ouro_credential *credential) {
    put("ouroboros/credential", credential, sizeof *credential);
}

void hook_store_session(const uint8_t *saved, size_t len) {
    put("ouroboros/session", saved, len);
    stored_at = k_uptime_get();
}

size_t hook_take_session(uint8_t *out, size_t cap, uint64_t *slept_ms) {
    size_t len = get("ouroboros/session", out, cap);
    if (len > 0 && settings_delete("ouroboros/session") != 0)
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

void hook_wait_until(uint64_t ms) {
    uint64_t now = hook_now_ms(), left = ms > now ? ms - now : 0;
    struct zsock_pollfd ready = {.fd = gateway(), .events = ZSOCK_POLLIN};
    (void)zsock_poll(&ready, 1, left < 1000 ? (int)left : 1000);
}
