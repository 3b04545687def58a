/*
 * Many sessions between ends of this process, over pairs of local sockets: one after the other they
 * shake hands and carry a message each way. Heap: what malloc has given out (mallinfo2).
 */
#include "bench.h"
#include "peer.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct session {
    wire_end wires[2]; /* client, server */
    peer_end *ends[2];
} session;

enum { TRIES = 100000 };

static void carry(session *s, int from) {
    static const uint8_t message[64] = {1};
    uint8_t got[64];
    peer_send(s->ends[from], message, sizeof message);
    for (int i = 0; i < TRIES; i++) {
        if (peer_receive(s->ends[1 - from], got, sizeof got) > 0) {
            if (memcmp(got, message, sizeof got) != 0)
                fail("another message came than was sent");
            return;
        }
    }
    fail("a message did not come");
}

static void establish(session *s) {
    bool ready[2] = {false, false};
    wire_local(s->wires);
    for (int i = 0; i < 2; i++)
        s->ends[i] = peer_open(i == 1, &s->wires[i]);
    for (int i = 0; i < TRIES && !(ready[0] && ready[1]); i++)
        if (!ready[i & 1])
            ready[i & 1] = peer_handshake(s->ends[i & 1]);
    if (!ready[0] || !ready[1])
        fail("a handshake did not end");
}

static double heap(void) {
    struct mallinfo2 info = mallinfo2();
    return (double)(info.uordblks + info.hblkhd);
}

/* Prints: microseconds of CPU of a handshake, both ends; bytes of a client, of a server. */
void measure_sessions(int count) {
    session *sessions = calloc((size_t)count, sizeof *sessions), first;
    double times = 0, bytes[3];
    if (sessions == NULL)
        fail("out of memory");
    /* What a library makes once, at its first session, is no session's. */
    establish(&first);
    carry(&first, 0);
    carry(&first, 1);
    bytes[0] = heap();
    for (int i = 0; i < count; i++) {
        double begin = cpu_us();
        establish(&sessions[i]);
        times += cpu_us() - begin;
        carry(&sessions[i], 0);
        carry(&sessions[i], 1);
    }
    bytes[1] = heap();
    for (int i = 0; i < count; i++)
        peer_close(sessions[i].ends[0]);
    bytes[2] = heap();
    printf("\t%.1f\t%.0f\t%.0f", times / count, (bytes[1] - bytes[2]) / count,
           (bytes[2] - bytes[0]) / count);
    for (int i = 0; i < count; i++) {
        peer_close(sessions[i].ends[1]);
        wire_close(&sessions[i].wires[0]);
        wire_close(&sessions[i].wires[1]);
    }
    free(sessions);
}
