/*
 * UDP to the gateway, whose name is tried with all its addresses and looked up anew: see
 * gateway_route.h. A look-up blocks until the name server answers or the system gives it up; a
 * sensor that has other things to do meanwhile gives it to a thread.
 */
#include "socket_hooks.h"

#include "bare_hooks.h"
#include "gateway_route.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/select.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST_WAIT_MS = 50, LINE = OURO_GATEWAY_NAME_MAX + 80, PORT_DIGITS = 5 };

static gateway_route route;
static int sockets[] = {-1, -1}; /* IPv4, IPv6 */
enum { SOCKETS = sizeof sockets / sizeof sockets[0] };

static void say(const char *what, const char *name, const char *why) {
    char line[LINE];
    (void)snprintf(line, sizeof line, "%s %s: %s", what, name, why);
    hook_say(line);
}

/* What makes an address one, so that two can be compared byte by byte; false for other families. */
static bool take_address(const void *from, route_address *address) {
    struct sockaddr any;
    struct sockaddr_in four, clean4;
    struct sockaddr_in6 six, clean6;
    memcpy(&any, from, sizeof any);
    memset(address, 0, sizeof *address);
    if (any.sa_family == AF_INET) {
        memcpy(&four, from, sizeof four);
        memset(&clean4, 0, sizeof clean4);
        clean4.sin_family = four.sin_family;
        clean4.sin_port = four.sin_port;
        clean4.sin_addr = four.sin_addr;
        address->len = sizeof clean4;
        memcpy(address->bytes, &clean4, sizeof clean4);
    } else if (any.sa_family == AF_INET6) {
        memcpy(&six, from, sizeof six);
        memset(&clean6, 0, sizeof clean6);
        clean6.sin6_family = six.sin6_family;
        clean6.sin6_port = six.sin6_port;
        clean6.sin6_addr = six.sin6_addr;
        clean6.sin6_scope_id = six.sin6_scope_id;
        address->len = sizeof clean6;
        memcpy(address->bytes, &clean6, sizeof clean6);
    }
    return address->len > 0;
}

static void look_up(void) {
    const ouro_gateway_name *gateway = hook_gateway();
    struct addrinfo hints, *all = NULL;
    char port[PORT_DIGITS + 1];
    route_address found[ROUTE_ADDRESSES];
    size_t count = 0;
    if (gateway->port == 0) {
        hook_say("nobody told this sensor its gateway's name and port");
        return;
    }
    (void)snprintf(port, sizeof port, "%u", (unsigned)gateway->port);
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_DGRAM;
    if (getaddrinfo(gateway->name, port, &hints, &all) != 0)
        all = NULL;
    for (struct addrinfo *at = all; at != NULL && count < ROUTE_ADDRESSES; at = at->ai_next)
        count += take_address(at->ai_addr, &found[count]) ? 1 : 0;
    if (all != NULL)
        freeaddrinfo(all);
    if (count == 0)
        say("cannot find", gateway->name, "its name is tried again");
    route_found(&route, found, count);
}

/* What the system does not take is a datagram that the network lost. */
void hook_send(const uint8_t *packet, size_t len) {
    bool hello = ouro_packet_session_id(packet, len) == 0;
    struct sockaddr_storage address;
    if (route_begin_look_up(&route, hook_now_ms(), hello))
        look_up();
    const route_address *to = route_next(&route, hook_now_ms(), hello);
    if (to == NULL)
        return;
    memset(&address, 0, sizeof address);
    memcpy(&address, to->bytes, to->len);
    int *udp = &sockets[address.ss_family == AF_INET6 ? 1 : 0];
    if (*udp < 0)
        *udp = socket(address.ss_family, SOCK_DGRAM, 0);
    if (*udp < 0 || sendto(*udp, packet, len, 0, (const struct sockaddr *)&address, to->len) < 0)
        say("cannot send to", hook_gateway()->name, strerror(errno));
}

/* What is not the gateway's is dropped. */
size_t hook_receive(uint8_t *packet, size_t cap) {
    for (size_t i = 0; i < SOCKETS; i++) {
        struct sockaddr_storage from;
        socklen_t from_len = sizeof from;
        route_address address;
        if (sockets[i] < 0)
            continue;
        memset(&from, 0, sizeof from);
        ssize_t len =
            recvfrom(sockets[i], packet, cap, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
        if (len > 0 && take_address(&from, &address) && route_heard(&route, &address))
            return (size_t)len;
    }
    return 0;
}

/* Short, so that the loop looks for a reading now and then. */
void hook_wait_until(uint64_t ms) {
    if (route_begin_look_up(&route, hook_now_ms(), false))
        look_up();
    uint64_t now = hook_now_ms(), left = ms > now ? ms - now : 0;
    struct timeval time = {0, 1000 * (left < LONGEST_WAIT_MS ? (long)left : LONGEST_WAIT_MS)};
    fd_set ready;
    int end = 0;
    FD_ZERO(&ready);
    for (size_t i = 0; i < SOCKETS; i++) {
        if (sockets[i] < 0)
            continue;
        FD_SET(sockets[i], &ready);
        end = sockets[i] >= end ? sockets[i] + 1 : end;
    }
    (void)select(end, &ready, NULL, NULL, &time);
}
