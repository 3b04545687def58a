/*
 * Ouroboros: a quantum-resistant secure channel for the Internet of Things.
 *
 * One protocol engine without heap, clock, sockets or mutable globals. The caller owns all memory
 * and passes the time (milliseconds that never run backwards), random bytes and packets; the engine
 * answers with packets to send, events and the time at which it wants to be called again.
 *
 * A link and what it points to belong to one thread at a time; two links share nothing unless
 * they were given the same pool.
 *
 * Section numbers in comments are those of docs/PROTOCOL.md.
 */
#ifndef OUROBOROS_H
#define OUROBOROS_H

#include "ouroboros/aead.h"
#include "ouroboros/blob.h"
#include "ouroboros/fleet.h"
#include "ouroboros/handshake.h"
#include "ouroboros/link.h"
#include "ouroboros/packet.h"
#include "ouroboros/pool.h"
#include "ouroboros/ratchet.h"
#include "ouroboros/scramble.h"
#include "ouroboros/secret.h"
#include "ouroboros/server.h"
#include "ouroboros/session.h"
#include "ouroboros/sleep.h"
#include "ouroboros/status.h"
#include "ouroboros/stream.h"
#include "ouroboros/version.h"
#include "ouroboros/window.h"

#endif
