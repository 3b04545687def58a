/*
 * The network card of the mps2 machines, an SMSC LAN9118. Here it carries packets of the protocol
 * in place of Ethernet frames: QEMU's `-netdev socket,udp=` puts each frame into one UDP datagram
 * as it is, so what the card sends is what the gateway receives.
 */
#ifndef OURO_NETWORK_CARD_H
#define OURO_NETWORK_CARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False if there is no such card. */
bool network_card_start(void);

/* `frame` is at least 14 bytes and at most 1,500. */
void network_card_send(const uint8_t *frame, size_t len);

/* The next frame that came, without its checksum; 0: there is none, or it is above `cap`. */
size_t network_card_receive(uint8_t *frame, size_t cap);

#endif
