/*
 * Devices that publish with MQTT at QoS 1: Mosquitto's client library. A message is delivered once
 * the broker has acknowledged it. With -DPSK over TLS with a pre-shared key.
 */
#include "devices.h"

#include <errno.h>
#include <mosquitto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { KEEP_ALIVE_S = 600, EVENTS = 64 };

typedef struct device {
    struct mosquitto *client;
    char topic[32];
    bool is_open, wants_write;
} device;

static device *all;
static int descriptor;
static const char *host;
static int port;

static int number_of(const device *one) {
    return (int)(one - all);
}

static void on_connect(struct mosquitto *client, void *context, int code) {
    (void)client;
    if (code == 0)
        load_connected(number_of(context));
    else
        load_lost(number_of(context));
}

static void on_publish(struct mosquitto *client, void *context, int id) {
    (void)client;
    (void)id;
    load_delivered(number_of(context));
}

void devices_start(const char *address, uint16_t number, int devices) {
    mosquitto_lib_init();
    host = address;
    port = number;
    all = calloc((size_t)devices, sizeof *all);
    descriptor = epoll_create1(0);
    if (all == NULL || descriptor < 0)
        load_stop("no memory, or no descriptor");
}

/* The library says after each step whether it waits for room to write. */
static void watch(device *one, int operation) {
    one->wants_write = mosquitto_want_write(one->client);
    struct epoll_event event = {.events = EPOLLIN | (one->wants_write ? EPOLLOUT : 0u),
                                .data = {.ptr = one}};
    if (epoll_ctl(descriptor, operation, mosquitto_socket(one->client), &event) != 0)
        load_stop("a socket cannot be watched");
}

void device_connect(int number) {
    device *one = &all[number];
    char name[32];
    snprintf(name, sizeof name, "device-%d", number);
    snprintf(one->topic, sizeof one->topic, "devices/%d/up", number);
    one->client = mosquitto_new(name, true, one);
    if (one->client == NULL)
        load_stop("no memory");
    mosquitto_int_option(one->client, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_connect_callback_set(one->client, on_connect);
    mosquitto_publish_callback_set(one->client, on_publish);
#ifdef PSK
    if (mosquitto_tls_psk_set(one->client, "000102030405060708090a0b0c0d0e0f", "device", NULL) != 0)
        load_stop("this libmosquitto has no TLS with pre-shared keys");
#endif
    if (mosquitto_connect_async(one->client, host, port, KEEP_ALIVE_S) != 0)
        load_stop("no connection to the broker: are there descriptors left (ulimit -n)?");
    one->is_open = true;
    watch(one, EPOLL_CTL_ADD);
}

void device_send(int number, const uint8_t *payload, size_t len) {
    device *one = &all[number];
    if (mosquitto_publish(one->client, NULL, one->topic, (int)len, payload, 1, false) != 0)
        load_failed(number);
    else if (mosquitto_want_write(one->client) != one->wants_write)
        watch(one, EPOLL_CTL_MOD);
}

int devices_descriptor(void) {
    return descriptor;
}

static void work(device *one, uint32_t events) {
    int result = MOSQ_ERR_SUCCESS;
    if (one->is_open && (events & EPOLLOUT) != 0)
        result = mosquitto_loop_write(one->client, 1);
    if (one->is_open && result == 0 && (events & ~(uint32_t)EPOLLOUT) != 0)
        result = mosquitto_loop_read(one->client, 1);
    if (result != 0) {
        one->is_open = false;
        load_lost(number_of(one));
    } else if (mosquitto_want_write(one->client) != one->wants_write) {
        watch(one, EPOLL_CTL_MOD);
    }
}

void devices_work(void) {
    struct epoll_event events[EVENTS];
    int ready;
    do {
        ready = epoll_wait(descriptor, events, EVENTS, 0);
        for (int i = 0; i < ready; i++)
            work(events[i].data.ptr, events[i].events);
    } while (ready == EVENTS);
}
