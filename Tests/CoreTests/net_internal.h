/* What the files of the simulated network share. */
#ifndef NET_INTERNAL_H
#define NET_INTERNAL_H

#include "net.h"

/* Something that may never happen did. */
void net_trouble(net *net, const char *what);
void net_random_bytes(net *net, uint8_t *out, size_t len);

/* net_path.c: the packet goes its way, or is lost, or goes twice, or is changed. */
void net_carry(net *net, int from, const uint8_t *data, size_t len, const ouro_addr *to);
void net_deliver_due(net *net);

/* net_side.c */
void net_init_link(net *net, int who);

#endif
