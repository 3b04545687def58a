/*
 * An attacker beside a gateway on loopback: sends garbage, forged HELLOs, replayed packets and
 * forged DATA at a steady rate, from many ports, for a bounded time. It reads a file that somebody
 * appends what he hears to: records of u16 length (big-endian) and as many bytes.
 */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SOCKETS = 64, RECORDS = 256, PACKET = 1300, HELLO = 6, DATA = 1, HELLO_SIZE = 60 };
enum { GARBAGE, FORGED_HELLO, REPLAY, FORGED_DATA, KINDS };
enum { MAX_RATE = 100000, MAX_SECONDS = 600 };

typedef struct packet {
    size_t len;
    uint8_t bytes[PACKET];
} packet;

typedef struct heard {
    FILE *file;
    packet ring[RECORDS]; /* the newest */
    size_t count;
    packet hello, data;
} heard;

static uint64_t state;

/* SplitMix64. */
static uint64_t draw(void) {
    state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t word = state;
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

static void scatter(uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)draw();
}

/* What was heard since the last time. A record that is not whole yet is read the next time. */
static void listen_on(heard *h) {
    for (;;) {
        long start = ftell(h->file);
        uint8_t length[2];
        packet p;
        if (fread(length, 1, 2, h->file) == 2) {
            p.len = (size_t)length[0] << 8 | length[1];
            if (p.len == 0 || p.len > PACKET) {
                fprintf(stderr, "flood: no record of 1 to %d bytes at %ld\n", PACKET, start);
                exit(2);
            }
            if (fread(p.bytes, 1, p.len, h->file) == p.len) {
                h->ring[h->count++ % RECORDS] = p;
                if ((p.bytes[0] & 15) == HELLO && p.len >= HELLO_SIZE)
                    h->hello = p;
                else if ((p.bytes[0] & 15) == DATA && p.len >= 32)
                    h->data = p;
                continue;
            }
        }
        clearerr(h->file);
        (void)fseek(h->file, start, SEEK_SET);
        return;
    }
}

static packet forge(const heard *h, int kind) {
    packet p = {0};
    switch (kind) {
    case FORGED_HELLO:
        /* The device that was heard, or any other; the rest of the header stays. */
        p = h->hello;
        if (draw() % 2 == 0)
            scatter(p.bytes + 16, 8);
        scatter(p.bytes + 24, 16);
        scatter(p.bytes + p.len - 16, 16);
        break;
    case REPLAY:
        p = h->ring[draw() % (h->count < RECORDS ? h->count : RECORDS)];
        break;
    case FORGED_DATA: {
        /* Its session, a counter around the newest, and nothing that verifies. */
        p = h->data;
        uint8_t low = p.bytes[15];
        p.bytes[15] = (uint8_t)(low + draw() % 64);
        scatter(p.bytes + 16, p.len - 16);
        break;
    }
    default:
        p.len = draw() % PACKET;
        scatter(p.bytes, p.len);
        break;
    }
    return p;
}

static long number(const char *text, const char *name, long most) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*end != 0 || value < 1 || value > most) {
        fprintf(stderr, "flood: %s is from 1 to %ld, not “%s”\n", name, most, text);
        exit(2);
    }
    return value;
}

static int open_socket(unsigned place) {
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in local = {.sin_family = AF_INET};
    local.sin_addr.s_addr = htonl(0x7f000002u + place);
    if (s < 0 || fcntl(s, F_SETFL, O_NONBLOCK) < 0 ||
        bind(s, (const struct sockaddr *)&local, sizeof local) < 0) {
        perror("flood: a socket");
        exit(2);
    }
    return s;
}

static void flood(heard *h, const struct sockaddr_in *to, long rate, long seconds) {
    int sockets[SOCKETS];
    for (unsigned i = 0; i < SOCKETS; i++)
        sockets[i] = open_socket(i);
    uint64_t sent[KINDS] = {0}, failed = 0, done = 0;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (long ms = 0; ms < seconds * 1000; ms++) {
        if (ms % 20 == 0)
            listen_on(h);
        for (uint64_t due = (uint64_t)(ms + 1) * (uint64_t)rate / 1000; done < due; done++) {
            int kind = (int)(done % KINDS);
            packet p = forge(h, kind);
            if (sendto(sockets[draw() % SOCKETS], p.bytes, p.len, 0, (const struct sockaddr *)to,
                       sizeof *to) == (ssize_t)p.len)
                sent[kind]++;
            else
                failed++;
        }
        next.tv_nsec += 1000000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    printf("sent %llu packets in %ld s: garbage %llu, HELLO %llu, replays %llu, DATA %llu; not "
           "sent %llu\n",
           (unsigned long long)(done - failed), seconds, (unsigned long long)sent[GARBAGE],
           (unsigned long long)sent[FORGED_HELLO], (unsigned long long)sent[REPLAY],
           (unsigned long long)sent[FORGED_DATA], (unsigned long long)failed);
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fprintf(stderr,
                "usage: flood PORT RATE SECONDS SEED HEARD: to 127.0.0.1, RATE packets a second\n");
        return 2;
    }
    struct sockaddr_in to = {.sin_family = AF_INET};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)number(argv[1], "PORT", 65535));
    long rate = number(argv[2], "RATE", MAX_RATE),
         seconds = number(argv[3], "SECONDS", MAX_SECONDS);
    state = (uint64_t)number(argv[4], "SEED", INT32_MAX);
    static heard h;
    h.file = fopen(argv[5], "rb");
    if (h.file == NULL) {
        perror(argv[5]);
        return 2;
    }
    listen_on(&h);
    if (h.hello.len == 0 || h.data.len == 0) {
        fprintf(stderr, "flood: %s holds no HELLO or no DATA to forge from\n", argv[5]);
        return 2;
    }
    flood(&h, &to, rate, seconds);
    return 0;
}
