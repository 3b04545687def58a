/* Epoch synchronisation of an evolving credential (docs/PROTOCOL.md, sections 1, 3.4 to 3.6).
 *
 * Two phases. First the network is hostile: every packet ever sent is recorded, and may arrive now, later, again, in
 * any order, or never; either side may lose its memory between any two steps, as often as it likes; the registry may be
 * set back to any earlier state. At any moment the calm may begin: the client makes a handshake, none of whose packets
 * is lost, nobody crashes, but whatever was recorded still arrives in between.
 *
 * Claims, as assertions: the server's durable epoch is never ahead of the client's, and without a back-up never more
 * than one behind; from every state that can be reached, the calm ends with a session that both sides hold.
 *
 * A HELLO, its WELCOME and its session are named by the HELLO's nonce. Forging is not modelled here (the .pv files
 * do): what arrives was sent. run.sh says with which -D this is checked, and with which it must be found broken. */

#ifndef TRIES
#define TRIES 4      /* HELLOs while the network is hostile */
#endif
#define CALM_TRIES 2 /* and after that: one that may be spent by what is under way, and one that must do */
#ifndef AHEAD
#define AHEAD 16     /* 1024 in the protocol; here: more than there are epochs. 0: the server never jumps */
#endif
#ifndef BETWEEN
#define BETWEEN 2    /* packets that arrive between two steps of the calm client */
#endif
#define ALL (TRIES + CALM_TRIES)
#define NONE 15

byte client_epoch, server_epoch; /* durable */

/* The client's memory. */
byte hello = NONE;       /* the HELLO alive */
byte challenges;         /* how many were answered for it */
byte accepted = NONE;    /* its WELCOME verified; the epoch is not durable yet */
byte session = NONE;
bool late;               /* mutation LATE_CLIENT: the epoch is made durable after the first packet */

/* The server's memory. One pending session of each kind stands for four. */
byte pending = NONE, fresh = NONE, confirmed = NONE;
byte greeted = NONE;     /* a HELLO that verified; the epoch is not durable yet */
byte greeted_fresh;
byte opened = NONE;      /* a first packet that opened; the epoch is not durable yet */

/* What was sent, ever. */
byte nonces;
byte epoch_of[ALL];
bool welcome[ALL], challenge[ALL], answer[ALL], first[ALL], reply[ALL];

bool set_back, calm;
byte stage, tries;
byte between;            /* what arrived since the calm client's last step: bounded, so that waiting for ever is a deadlock */

inline check() {
    assert(server_epoch <= client_epoch);
    assert(set_back || client_epoch <= server_epoch + 1)
}

inline client_forgets() {
    hello = NONE; challenges = 0; accepted = NONE; session = NONE; late = false
}

inline server_forgets() {
    pending = NONE; fresh = NONE; confirmed = NONE; greeted = NONE; greeted_fresh = 0; opened = NONE
}

/* Durable; pending sessions end with the epoch that is left. */
inline move_server(to) {
    if
    :: to > server_epoch -> server_epoch = to; pending = NONE; fresh = NONE
    :: else
    fi;
    check()
}

inline new_hello() {
    hello = nonces; nonces++;
    epoch_of[hello] = client_epoch;
    challenges = 0
}

/* HELLO n arrives; holds: with a challenge that holds. */
inline take_hello(n, holds) {
    if
    :: n == pending || n == fresh -> welcome[n] = true     /* the same HELLO, the same WELCOME */
    :: n != pending && n != fresh && n == confirmed        /* silence */
    :: n != pending && n != fresh && n != confirmed ->
        if
        :: epoch_of[n] < server_epoch                       /* spent: silence */
        :: epoch_of[n] > server_epoch + AHEAD               /* too far ahead: silence */
        :: else ->
            if
            :: !holds && pending != NONE -> challenge[n] = true /* nothing is stored and nothing moves */
            :: holds || pending == NONE -> greeted = n; greeted_fresh = holds
            fi
        fi
    fi
}

inline after_hello() {
    move_server(epoch_of[greeted]);
    if
    :: greeted_fresh -> fresh = greeted
    :: !greeted_fresh -> pending = greeted
    fi;
    welcome[greeted] = true;
#ifdef EARLY_SERVER
    server_epoch = epoch_of[greeted] + 1;
    check();
#endif
    greeted = NONE; greeted_fresh = 0
}

inline take_first(n) {
    if
    :: n == pending || n == fresh -> opened = n
    :: n == confirmed -> reply[n] = true
    :: else
    fi
}

inline after_first() {
    move_server(epoch_of[opened] + 1);
    if
    :: pending == opened -> pending = NONE
    :: else
    fi;
    if
    :: fresh == opened -> fresh = NONE
    :: else
    fi;
    confirmed = opened;
    reply[opened] = true;
    opened = NONE
}

inline take_welcome() {
    accepted = hello; hello = NONE; challenges = 0
}

inline after_welcome() {
#ifdef LATE_CLIENT
    late = true;
#else
    client_epoch = epoch_of[accepted] + 1;
    check();
#endif
    session = accepted; accepted = NONE;
    first[session] = true
}

inline after_first_data() {
    late = false;
    client_epoch = epoch_of[session] + 1
}

#define SERVER_IDLE (greeted == NONE && opened == NONE)
#define CLIENT_IDLE (accepted == NONE && !late)

init {
    byte n;
    do
    /* Durable writes end. */
    :: atomic { greeted != NONE -> after_hello() }
    :: atomic { opened != NONE -> after_first() }
    :: atomic { accepted != NONE -> after_welcome() }
    :: atomic { late -> after_first_data() }

    /* What was recorded arrives at the server, in the calm too. */
    :: atomic {
        SERVER_IDLE && nonces > 0 && between < BETWEEN ->
        between = between + calm;
        select(n : 0 .. nonces - 1);
        if
        :: take_hello(n, false)
        /* An old challenge holds for 20 s; in the calm, only that of the HELLO alive does. */
        :: answer[n] && (!calm || n == hello) -> take_hello(n, true)
        :: first[n] -> take_first(n)
        :: else
        fi;
        n = 0
    }

    /* Hostile: what the client does, or does not. */
    :: atomic { !calm && CLIENT_IDLE && nonces < TRIES -> new_hello() }
    :: atomic { !calm && hello != NONE && welcome[hello] -> take_welcome() }
    :: atomic { !calm && hello != NONE && challenge[hello] && challenges < 2 ->
        challenges++; answer[hello] = true }
    :: atomic { !calm -> client_forgets() }
    :: atomic { !calm -> server_forgets() }
    :: atomic { !calm && (pending != NONE || fresh != NONE) -> pending = NONE; fresh = NONE } /* 60 s */
#ifndef NO_BACKUP
    :: atomic { !calm && server_epoch > 0 ->
        server_forgets(); server_epoch--; set_back = true }
#endif
#ifdef FORGED
    /* Mutation: the server moves for a HELLO whose tag it has not verified. */
    :: atomic { !calm && server_epoch < TRIES -> move_server(server_epoch + 1) }
#endif
#ifdef OLD_CLIENT
    /* Not promised (section 8): the device's storage is set back. */
    :: atomic { !calm && client_epoch > 0 -> client_forgets(); client_epoch--; set_back = true; check() }
#endif
#ifdef THIEF
    /* Not promised (section 8): a thief of the epoch key sends HELLO from far ahead. */
    :: atomic { !calm && server_epoch < TRIES -> move_server(server_epoch + AHEAD) }
#endif
    :: atomic { !calm -> calm = true; n = 0 }

    /* Calm: a handshake. Other packets may arrive between any two of these. */
    :: atomic { calm && stage == 0 && CLIENT_IDLE && SERVER_IDLE ->
        assert(tries < CALM_TRIES); /* else the client is shut out */
        tries++; between = 0; new_hello(); stage = 1 }
    :: atomic { calm && stage == 1 && SERVER_IDLE -> between = 0; take_hello(hello, false); stage = 2 }
    :: atomic { calm && stage == 2 && SERVER_IDLE ->
        between = 0;
        if
        :: welcome[hello] -> take_welcome(); stage = 4
        :: !welcome[hello] && challenge[hello] && challenges < 2 ->
            challenges++; answer[hello] = true; take_hello(hello, true)
        :: else -> stage = 0
        fi }
    :: atomic { calm && stage == 4 && session != NONE && accepted == NONE && SERVER_IDLE ->
        between = 0; take_first(session); stage = 5 }
    :: atomic { calm && stage == 5 && SERVER_IDLE ->
        between = 0;
        if
        :: reply[session] -> stage = 6
        :: else -> stage = 0
        fi }
    :: atomic { calm && stage == 6 && CLIENT_IDLE && SERVER_IDLE ->
        assert(confirmed == session);
        check();
        break }
    od
}
