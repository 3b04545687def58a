/*
 * What socket_hooks.c asks of a board beside bare_hooks.h. It brings hook_send, hook_receive and
 * hook_wait_until for those that have sockets: POSIX systems, and lwIP and Zephyr with their names.
 */
#ifndef SOCKET_HOOKS_H
#define SOCKET_HOOKS_H

#include "ouroboros/ouroboros.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Name or address of the gateway, and its port. It stays; port 0: nobody told it. */
const ouro_gateway_name *hook_gateway(void);

/* A line for whoever looks after the sensor: what went wrong with the gateway's name. */
void hook_say(const char *line);

#ifdef __cplusplus
}
#endif

#endif
