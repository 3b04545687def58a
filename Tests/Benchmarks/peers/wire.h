/*
 * Datagrams over one connected socket, counted where they leave. The socket does not block;
 * `patience_ms` is how long a receiver may wait.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WIRE_MAX = 2048 };

typedef struct wire_end {
    int fd;
    int patience_ms;
    uint64_t bytes, packets; /* sent */
} wire_end;

/* Two connected ends: of UDP over loopback, or of a pair within this process. */
void wire_udp(wire_end ends[2], int patience_ms);
void wire_local(wire_end ends[2]);
void wire_close(wire_end *wire);

void wire_send(wire_end *wire, const void *data, size_t len);

/* The next datagram, or 0 if none is there. */
size_t wire_take(wire_end *wire, void *data, size_t capacity);

/* Waits for a datagram; false when none came. */
bool wire_wait(wire_end *wire, int timeout_ms);

/* The next datagram, waited for with patience; 0 if none came. */
size_t wire_receive(wire_end *wire, void *data, size_t capacity);

/* Ends the process with a message. */
void fail(const char *what);

#endif
