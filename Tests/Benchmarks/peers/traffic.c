/*
 * A client and a server, a process each, over UDP on loopback. First one message at a time, which
 * the server sends back; then messages one way, where the server's application answers each
 * WINDOW-th, so that no socket's buffer overflows: a lost datagram would be a retransmission of
 * the one, and a silent loss of the other.
 */
#include "bench.h"
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW = 32, PATIENCE_MS = 100, GIVE_UP = 100 };

/* Where one end stands after each part. */
typedef struct mark {
    double wall_us, cpu_us;
    uint64_t bytes, packets;
} mark;

enum { HANDSHAKE, WARM, ROUND_TRIPS, ONE_WAY, PARTS };

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static mark here(const wire_end *wire) {
    return (mark){now_us(), cpu_us(), wire->bytes, wire->packets};
}

static void shake_hands(peer_end *end) {
    for (int i = 0; i < GIVE_UP; i++)
        if (peer_handshake(end))
            return;
    fail("the handshake did not end");
}

static void receive(peer_end *end, size_t size) {
    uint8_t message[WIRE_MAX];
    size_t len = 0;
    for (int i = 0; i < GIVE_UP && len == 0; i++)
        len = peer_receive(end, message, sizeof message);
    if (len != size)
        fail(len == 0 ? "a message was lost" : "a message came with another length");
}

static void serve(wire_end *wire, size_t size, int round_trips, int one_way, mark marks[PARTS]) {
    uint8_t message[WIRE_MAX] = {0};
    peer_end *end = peer_open(true, wire);
    shake_hands(end);
    marks[HANDSHAKE] = here(wire);
    for (int i = 0; i < round_trips / 10 + round_trips; i++) {
        if (i == round_trips / 10)
            marks[WARM] = here(wire);
        receive(end, size);
        peer_send(end, message, size);
    }
    marks[ROUND_TRIPS] = here(wire);
    for (int i = 1; i <= one_way; i++) {
        receive(end, size);
        if (i % WINDOW == 0)
            peer_send(end, message, size);
    }
    marks[ONE_WAY] = here(wire);
    peer_close(end);
}

static void ask(wire_end *wire, size_t size, int round_trips, int one_way, double *times,
                mark marks[PARTS]) {
    uint8_t message[WIRE_MAX] = {0};
    peer_end *end = peer_open(false, wire);
    shake_hands(end);
    marks[HANDSHAKE] = here(wire);
    for (int i = 0; i < round_trips / 10 + round_trips; i++) {
        if (i == round_trips / 10)
            marks[WARM] = here(wire);
        double begin = now_us();
        peer_send(end, message, size);
        receive(end, size);
        if (i >= round_trips / 10)
            times[i - round_trips / 10] = now_us() - begin;
    }
    marks[ROUND_TRIPS] = here(wire);
    for (int i = 1; i <= one_way; i++) {
        peer_send(end, message, size);
        if (i % WINDOW == 0)
            receive(end, size);
    }
    marks[ONE_WAY] = here(wire);
    peer_close(end);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* CPU time of both ends from one mark to the next, a message; and bytes on the wire beyond its own.
 */
static void print_costs(mark ends[2][PARTS], int part, double messages, size_t size) {
    double cpu = 0, bytes = 0;
    for (int i = 0; i < 2; i++) {
        cpu += ends[i][part].cpu_us - ends[i][part - 1].cpu_us;
        bytes += (double)(ends[i][part].bytes - ends[i][part - 1].bytes);
    }
    printf("\t%.2f\t%.1f", cpu / messages, bytes / messages - (double)size);
}

/*
 * Prints: bytes and packets of the handshake; median and 99th percentile of a round trip, us; CPU
 * us and further bytes a message of these; messages one way a second; CPU us and further bytes.
 */
void measure_traffic(size_t size, int round_trips, int one_way) {
    wire_end ends[2];
    mark marks[2][PARTS];
    int results[2], status;
    double *times = calloc((size_t)round_trips, sizeof *times);
    one_way -= one_way % WINDOW;
    wire_udp(ends, PATIENCE_MS);
    if (times == NULL || pipe(results) != 0)
        fail("no memory, or no pipe");
    pid_t server = fork();
    if (server == 0) {
        serve(&ends[1], size, round_trips, one_way, marks[1]);
        _exit(write(results[1], marks[1], sizeof marks[1]) == sizeof marks[1] ? EXIT_SUCCESS
                                                                              : EXIT_FAILURE);
    }
    if (server < 0)
        fail("no second process");
    close(results[1]);
    ask(&ends[0], size, round_trips, one_way, times, marks[0]);
    if (read(results[0], marks[1], sizeof marks[1]) != sizeof marks[1] ||
        waitpid(server, &status, 0) != server || status != 0)
        fail("the server failed");
    qsort(times, (size_t)round_trips, sizeof *times, by_size);
    printf("\t%.0f\t%.0f\t%.2f\t%.2f",
           (double)(marks[0][HANDSHAKE].bytes + marks[1][HANDSHAKE].bytes),
           (double)(marks[0][HANDSHAKE].packets + marks[1][HANDSHAKE].packets),
           times[round_trips / 2], times[(size_t)round_trips * 99 / 100]);
    print_costs(marks, ROUND_TRIPS, 2.0 * round_trips, size);
    printf("\t%.0f", one_way * 1e6 / (marks[0][ONE_WAY].wall_us - marks[0][ROUND_TRIPS].wall_us));
    /* The answers are messages too. */
    print_costs(marks, ONE_WAY, one_way + one_way / WINDOW, size);
    close(results[0]);
    wire_close(&ends[0]);
    wire_close(&ends[1]);
    free(times);
}
