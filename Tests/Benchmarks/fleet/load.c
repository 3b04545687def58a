/*
 * The load of `ouroboros fleet` for other protocols' devices: all connect, some at a time; then
 * each sends one message at a time, on average every devices/rate seconds, with pauses between half
 * and one and a half times that. A message is timed from when it was due. Prints the same fields of
 * a JSON object.
 */
#define _GNU_SOURCE
#include "devices.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONNECT_AT_ONCE = 64, PATIENCE_S = 10 };
static const double LATE_US = 1e6, TICK_US = 1e5;

typedef enum state { IDLE, CONNECTING, CONNECTED, SENDING, LOST } state;

static struct {
    state state;
    double due_us;
} * all;

static struct {
    int devices, begun, connecting, connected, sending;
    long delivered, late, failed;
    double *times;
    long room;
    double period_us;
    unsigned short seed[3];
} load = {.seed = {1, 2, 3}};

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

void load_stop(const char *why) {
    fprintf(stderr, "%s\n", why);
    exit(EXIT_FAILURE);
}

void load_connected(int device) {
    if (all[device].state != CONNECTING)
        return;
    all[device].state = CONNECTED;
    load.connecting--;
    load.connected++;
}

void load_lost(int device) {
    if (all[device].state == LOST)
        return;
    if (all[device].state == CONNECTING)
        load.connecting--;
    else
        load.connected--;
    load_failed(device);
    all[device].state = LOST;
}

/* The device's next message is due after a pause. */
static void settle(int device) {
    load.sending--;
    all[device].state = CONNECTED;
    all[device].due_us += (0.5 + erand48(load.seed)) * load.period_us;
}

void load_delivered(int device) {
    if (all[device].state != SENDING)
        return;
    if (load.delivered == load.room)
        load_stop("more messages were delivered than there is room for their times");
    double time = now_us() - all[device].due_us;
    load.times[load.delivered++] = time;
    load.late += time > LATE_US;
    settle(device);
}

void load_failed(int device) {
    if (all[device].state != SENDING)
        return;
    load.failed++;
    settle(device);
}

/* Waits until something is there to do, or until that time. */
static void wait_until(double time_us) {
    double wait = time_us - now_us();
    wait = wait < 0 ? 0 : wait > TICK_US ? TICK_US : wait;
    struct timespec limit = {0, (long)(wait * 1e3)};
    struct pollfd ready = {devices_descriptor(), POLLIN, 0};
    ppoll(&ready, 1, &limit, NULL);
    devices_work();
}

static double connect_all(void) {
    double begin = now_us();
    while (load.begun < load.devices || load.connecting > 0) {
        while (load.begun < load.devices && load.connecting < CONNECT_AT_ONCE) {
            int device = load.begun++;
            all[device].state = CONNECTING;
            load.connecting++;
            device_connect(device);
        }
        wait_until(begin + PATIENCE_S * 1e6);
        if (now_us() - begin > 6 * PATIENCE_S * 1e6)
            load_stop("the devices do not connect");
    }
    return (now_us() - begin) / 1e6;
}

/* Returns the time that it took until the last message's fate was known. */
static double send_from_all(size_t size, double seconds) {
    uint8_t payload[PAYLOAD_MAX];
    memset(payload, 'a', sizeof payload);
    double begin = now_us(), end = begin + seconds * 1e6;
    for (int i = 0; i < load.devices; i++)
        all[i].due_us = begin + erand48(load.seed) * load.period_us;
    while (true) {
        double now = now_us(), next = end;
        for (int i = 0; i < load.devices && now < end; i++) {
            if (all[i].state != CONNECTED)
                continue;
            if (all[i].due_us <= now) {
                all[i].state = SENDING;
                load.sending++;
                device_send(i, payload, size);
            } else if (all[i].due_us < next) {
                next = all[i].due_us;
            }
        }
        if (now >= end && (load.sending == 0 || now > end + PATIENCE_S * 1e6))
            break;
        wait_until(now < end ? next : end + PATIENCE_S * 1e6);
    }
    load.failed += load.sending;
    return (now_us() - begin) / 1e6;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(double share) {
    return load.delivered == 0 ? 0 : load.times[(long)((double)(load.delivered - 1) * share)];
}

int main(int argc, char **argv) {
    int devices = argc == 7 ? atoi(argv[3]) : 0, port = argc == 7 ? atoi(argv[2]) : 0;
    double rate = argc == 7 ? atof(argv[4]) : 0, seconds = argc == 7 ? atof(argv[6]) : 0;
    int size = argc == 7 ? atoi(argv[5]) : 0;
    if (devices < 1 || devices > DEVICES_MAX || port < 1 || port > 65535 || rate <= 0 || size < 1 ||
        size > PAYLOAD_MAX || seconds <= 0)
        load_stop("usage: devices HOST PORT DEVICES RATE SIZE SECONDS");
    load.devices = devices;
    load.period_us = devices / rate * 1e6;
    load.room = (long)(rate * seconds * 2) + devices;
    all = calloc((size_t)devices, sizeof *all);
    load.times = calloc((size_t)load.room, sizeof *load.times);
    if (all == NULL || load.times == NULL)
        load_stop("no memory");
    devices_start(argv[1], (uint16_t)port, devices);
    double connecting = connect_all();
    int connected = load.connected;
    double sending = connected == 0 ? 0 : send_from_all((size_t)size, seconds);
    qsort(load.times, (size_t)load.delivered, sizeof *load.times, by_size);
    printf("{\"devices\":%d,\"connected\":%d,\"handshakes_per_second\":%.1f,\"delivered\":%ld,"
           "\"late\":%ld,"
           "\"unknown\":0,\"failed\":%ld,\"delivered_per_second\":%.1f,\"p50_us\":%.0f,\"p99_us\":%"
           ".0f}\n",
           devices, connected, connected / connecting, load.delivered, load.late, load.failed,
           sending > 0 ? (double)load.delivered / sending : 0, percentile(0.5), percentile(0.99));
    return EXIT_SUCCESS;
}
