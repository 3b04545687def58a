#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void fail(const char *what) {
    fprintf(stderr, "peer benchmark: %s (last system error: %s)\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static int bound_socket(struct sockaddr_in *address) {
    socklen_t len = sizeof *address;
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)address, len) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &len) != 0)
        fail("no UDP socket on 127.0.0.1");
    return fd;
}

static void start(wire_end *wire, int fd, int patience_ms) {
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        fail("a socket cannot be made non-blocking");
    *wire = (wire_end){.fd = fd, .patience_ms = patience_ms};
}

void wire_udp(wire_end ends[2], int patience_ms) {
    struct sockaddr_in addresses[2];
    int sockets[2];
    for (int i = 0; i < 2; i++)
        sockets[i] = bound_socket(&addresses[i]);
    for (int i = 0; i < 2; i++) {
        if (connect(sockets[i], (struct sockaddr *)&addresses[1 - i], sizeof addresses[0]) != 0)
            fail("a UDP socket cannot be connected");
        start(&ends[i], sockets[i], patience_ms);
    }
}

void wire_local(wire_end ends[2]) {
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets) != 0)
        fail("no pair of sockets: are enough files allowed (ulimit -n)?");
    for (int i = 0; i < 2; i++)
        start(&ends[i], sockets[i], 0);
}

void wire_close(wire_end *wire) {
    close(wire->fd);
}

void wire_send(wire_end *wire, const void *data, size_t len) {
    if (send(wire->fd, data, len, 0) != (ssize_t)len)
        fail("a datagram cannot be sent");
    wire->bytes += len;
    wire->packets++;
}

size_t wire_take(wire_end *wire, void *data, size_t capacity) {
    ssize_t len = recv(wire->fd, data, capacity, 0);
    if (len < 0 && errno != EAGAIN && errno != EINTR)
        fail("a datagram cannot be received");
    return len > 0 ? (size_t)len : 0;
}

bool wire_wait(wire_end *wire, int timeout_ms) {
    struct pollfd ready = {.fd = wire->fd, .events = POLLIN};
    return poll(&ready, 1, timeout_ms) > 0;
}

size_t wire_receive(wire_end *wire, void *data, size_t capacity) {
    size_t len = wire_take(wire, data, capacity);
    if (len == 0 && wire->patience_ms > 0 && wire_wait(wire, wire->patience_ms))
        len = wire_take(wire, data, capacity);
    return len;
}
