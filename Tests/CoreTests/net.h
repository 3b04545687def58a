/*
 * A device and its gateway joined by a simulated network with a virtual clock and a seed: the same
 * seed replays the same run. The test sets the path, sends messages, and runs the clock.
 */
#ifndef NET_H
#define NET_H

#include "ouroboros/ouroboros.h"

enum { DEVICE = 0, GATEWAY = 1 };
enum { NET_PACKETS = 4096, NET_MESSAGES = 8192, NET_PLACES = 512, NET_LOG = 4096 };

/* STALLED: unknown, as it was stalled. */
typedef enum net_outcome { PENDING = 0, DELIVERED, UNKNOWN, FAILED, SENT, STALLED } net_outcome;

/* A packet under way. */
typedef struct net_packet {
    uint64_t at_ms, order;
    uint8_t to;
    ouro_addr from;
    size_t len;
    uint8_t bytes[OURO_MAX_PACKET];
} net_packet;

/* A packet that a side sent, for a test to look at afterwards (net_record). */
typedef struct net_sent {
    uint64_t at_ms;
    int from;
    bool lost;
    ouro_addr to;
    size_t len;
    uint8_t bytes[OURO_MAX_PACKET];
} net_sent;

/* What became of message number n of one side. */
typedef struct net_message {
    uint64_t sent_ms;   /* handed to the link */
    uint64_t came_ms;   /* first handed on at the other side */
    uint64_t ended_ms;  /* its outcome */
    uint32_t handed_on; /* how often */
    net_outcome outcome;
    bool reliable, stalled; /* told as stalled, with this size */
    size_t stalled_len;
} net_message;

typedef struct net_path {
    double loss, duplicate, corrupt;
    uint64_t delay_ms, jitter_ms; /* one way; jitter reorders */
    bool down;
    size_t largest; /* packets above it are lost; 0: none */
} net_path;

typedef struct net_side {
    ouro_settings settings;
    ouro_memory memory;
    ouro_link link;
    bool alive; /* the link is initialised */
    ouro_session sessions[OURO_MAX_SESSIONS];
    ouro_slot slots[OURO_MAX_SESSIONS * 2 * OURO_MAX_REACH];
    ouro_tail tails[2];
    ouro_path paths[OURO_MAX_SESSIONS];
    ouro_client client;
    ouro_prepared prepared;
    ouro_pool pool;
    uint64_t pool_memory[NET_PLACES * (OURO_MAX_PACKET / 8 + 10)];
    ouro_addr addr;
    net_message messages[NET_MESSAGES];
    uint32_t ids[NET_MESSAGES]; /* link id -> number */
    uint32_t count;             /* messages given to the link */
    uint64_t packets;           /* sent */
    uint32_t types[16];         /* of these, by type */
    unsigned established, closed, dead, alive_again, pongs, epochs;
    unsigned stream_ends; /* packets that ended the stream */
    bool unsafe;     /* what comes is not acknowledged: the application never says it is safe */
    bool late;       /* what comes is acknowledged once it is taken from the queue */
    bool no_storage; /* a new epoch does not become durable, and nothing follows from it */
    uint8_t closed_reason;
    bool closed_by_peer;
    uint64_t missing;
    /* the application's queue: -1 takes everything at once */
    int queue_cap;
    uint32_t queued;
    uint32_t queue_sessions[256];
    uint64_t queue_counters[256];
} net_side;

typedef struct net {
    uint64_t now_ms;
    uint64_t random;
    uint64_t order;
    net_path path;
    net_side side[2];
    ouro_server server;
    ouro_server_settings server_settings;
    ouro_pending pending[32];
    ouro_ahead *ahead; /* 16, when the credential evolves */
    ouro_device device;
    ouro_credential durable[2]; /* what each side has made durable */
    net_packet *packets;
    size_t packet_count;
    uint64_t hellos, welcomes;
    unsigned trouble;                 /* things that may never happen: printed as they do */
    bool eager;                       /* both sides are woken each millisecond */
    bool faulty;                      /* the crypto library may fail */
    bool stop_nonces;                 /* the client gets no random bytes */
    uint8_t last[2][OURO_MAX_PACKET]; /* the newest packet each side sent */
    size_t last_len[2];
    uint32_t drop[2]; /* bit t: packets of type t of that side are lost */
    ouro_addr to;     /* where the packet goes that the filter sees */
    /* true: the packet is lost */
    bool (*filter)(struct net *net, int from, const uint8_t *packet, size_t len);
    void *context;
    /* in place of the account of messages that came */
    void (*message)(struct net *net, int who, const ouro_event *event);
    net_sent *log; /* of net_record */
    size_t log_len;
} net;

typedef struct net_options {
    uint64_t seed;
    uint8_t reach[2];
    uint16_t max_body[2];
    bool evolving, small, prepare, stream;
    uint32_t keep_alive_ms;
    uint64_t rekey_packets, rekey_age_ms;
    size_t places, packet_cap; /* of each side's pool; 0: many, for the largest packets */
} net_options;

/* Allocates and initialises; the client's handshake begins with its first message or net_connect.
 */
net *net_new(const net_options *options);
void net_free(net *net);

uint32_t net_random(net *net);
double net_chance(net *net);

/* A message of `len` bytes (at least 4) with its number in front; the number, or UINT32_MAX when
 * the link takes none now. */
uint32_t net_send(net *net, int from, bool reliable, size_t len);

/* A message of the test's own making: its outcome is kept, its bytes are for net.message. */
uint32_t net_send_message(net *net, int from, const ouro_message *message);

void net_connect(net *net);

/* From now on the packets that are sent are kept in net.log, up to NET_LOG of them. */
void net_record(net *net);

/* The packet number `nth` (from 0) of a type that a side sent since net_record; NULL if none. */
const net_sent *net_find(const net *net, int from, int type, size_t nth);

/* The address of the device's host at a port. */
ouro_addr net_address(uint8_t port);

/* A net whose session is established and sampled, idle, with an empty log. */
net *net_connected(const net_options *options, uint64_t one_way_ms);

/* The counter of a packet, which stands in the clear. */
uint64_t net_counter(const uint8_t *packet);

/* A valid packet of a side's newest session, which that side's link does not know it has sent. */
size_t net_make(net *net, int from, uint8_t type, uint8_t flags, const uint8_t *body, size_t len,
                uint8_t packet[OURO_MAX_PACKET]);

/* Such a packet is given to the other side, whatever the path does. */
ouro_status net_give(net *net, int from, uint8_t type, uint8_t flags, const uint8_t *body,
                     size_t len);

/* An ACK with this block; a BUSY with the block of what was handed on. */
ouro_status net_acknowledge(net *net, int from, uint64_t highest, uint64_t bitmap);
ouro_status net_busy(net *net, int from);

/* The newest session of a side, for a test that makes packets of its own. */
ouro_session *net_session(net *net, int side);

/* Does all that is due, then moves the clock to the next thing, at most to `until_ms`. */
void net_run_until(net *net, uint64_t until_ms);
void net_run_for(net *net, uint64_t ms);

/* Runs until every message has its outcome; false if that takes longer than `limit_ms`. */
bool net_settle(net *net, uint64_t limit_ms);

/* Hands a packet to a side as if it came from the network. */
ouro_status net_inject(net *net, int to, const ouro_addr *from, uint8_t *packet, size_t len);

/* Lets a side's link send what it has and tell its events now. */
void net_pump(net *net, int side);

/* The device's (or the gateway's) memory is lost but for what it made durable. */
void net_restart(net *net, int side);

void net_move(net *net, uint8_t port); /* the device's address changes */

/* Takes one message from the application's queue. */
void net_take(net *net, int side);

uint32_t net_count(const net *net, int from, net_outcome outcome);

/* The keys of this run: every (key, nonce) that sealed a packet was new. */
void keys_forget(void);
extern unsigned keys_repeated, keys_recorded;
/* What was sealed last never goes out: its key may seal again. */
void keys_not_sent(void);

/* Call number `fault_at` of the crypto library fails, once (faults.c); calls are counted. */
extern uint64_t fault_at, fault_calls;
/* And all after it. */
extern bool fault_stays;
bool fault_now(void);
/* Hears of each key that an HMAC takes or makes; or NULL. */
extern void (*fault_secret)(const uint8_t key[32]);

/* How often a window was asked where a counter stands. */
extern unsigned window_checks;

#endif
