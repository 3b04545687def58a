/*
 * What a kind of device does to be measured beside `ouroboros fleet`: many of them in one process,
 * numbered from 0, each with a connection of its own. Each kind is a program made of one file that
 * implements the first half of this, and of load.c, which has the second.
 */
#ifndef DEVICES_H
#define DEVICES_H

#include <stddef.h>
#include <stdint.h>

enum { DEVICES_MAX = 100000, PAYLOAD_MAX = 1024 };

/* Once: the server's address, and how many devices there will be. */
void devices_start(const char *host, uint16_t port, int devices);

/* Begins a connection; load_connected or load_lost tells how it went. */
void device_connect(int device);

/* Sends one message reliably; load_delivered or load_failed tells how it went. */
void device_send(int device, const uint8_t *payload, size_t len);

/* A descriptor that can be read when devices_work has something to do. */
int devices_descriptor(void);

/* Does what there is to do, without waiting. It is called ten times a second at least. */
void devices_work(void);

void load_connected(int device);
void load_lost(int device);
void load_delivered(int device);
void load_failed(int device);

/* Ends the process with a message. */
void load_stop(const char *why);

#endif
