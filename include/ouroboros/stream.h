/*
 * A link over a stream such as TCP (section 6, "In a stream"): settings.stream is set, the slots
 * are NULL, one session a stream. The caller reads bytes, cuts packets with
 * ouro_stream_packet_size, gives each to ouro_link_receive and ends the stream on any failure. A
 * client sends HELLO first.
 */
#ifndef OUROBOROS_STREAM_H
#define OUROBOROS_STREAM_H

#include "ouroboros/link.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OURO_STREAM_HANDSHAKE_MS 10000

/*
 * The size of the packet that starts with these bytes: 0 while `len` is under 4; END_STREAM's
 * negative value when no packet can start so.
 */
int ouro_stream_packet_size(const uint8_t *bytes, size_t len);

/*
 * False once 64 messages past the lowest one without ouro_link_done were read: read no further
 * until it is true again. Writing goes on meanwhile.
 */
bool ouro_stream_may_read(const ouro_link *link);

/*
 * To be told when the caller stops reading as its application is slow (or ouro_stream_may_read says
 * so), and when it reads again. Meanwhile the link tells the other side every 15 s that it is
 * there, and does not take the silence that it does not read for a dead path. Call
 * ouro_link_transmit only while the stream takes bytes, so that these do not pile up.
 */
void ouro_stream_set_reading(ouro_link *link, uint64_t now_ms, bool reading);

/*
 * True if the stream has to be ended: a rule was broken, the handshake took too long, or a PING was
 * not answered and nothing was heard for 45 s. To be asked after ouro_link_tick.
 */
bool ouro_stream_is_broken(const ouro_link *link);

/*
 * The stream ended. Messages in flight become unknown and the session is erased; true when it ended
 * well, after CLOSE and with nothing missing.
 */
bool ouro_stream_ended(ouro_link *link);

#ifdef __cplusplus
}
#endif

#endif
