/* How far a sender of messages may run (docs/PROTOCOL.md, sections 5.1, 5.2, 5.4), one direction of one session.
 *
 * Everything is told by its distance from the newest counter that was used, so the model is finite and yet has no last
 * message: bit i of a word, and distance i, mean the counter n - 1 - i, where n is the next counter. Counter -1, from
 * which `highest` and `acked` start, counts as used, received and acknowledged.
 *
 * Hostile phase: any message ever sent may arrive at any time, once or often, or never. The application may take
 * received messages in any order, and acknowledgements may be lost, late and reordered: so at any time the sender may
 * learn of any received message, alone, that it arrived. At any moment the calm may begin: what the sender sends again
 * arrives and is acknowledged, and nothing else ever does (all that was sent unreliably may be lost).
 *
 * Claims, as assertions: no message that is sent for the first time is above the receiver's window; what may be sent
 * again is neither below nor above it; a sender that waits has something to send again (a reliable message, or the PING
 * that a client keeps out until it heard from the server); and in the calm it waits no more after that was answered.
 *
 * run.sh says with which -D this is checked, and with which it must be found broken. */

#ifndef R
#define R 4           /* the receiver's reach: 4 to 64 in the protocol */
#endif
#define W (2 * R + 2) /* no word has a bit at W or above: asserted */
#ifndef UNCONFIRMED
#define UNCONFIRMED 4 /* counters 0 to 3, until the server was heard from (section 3.4) */
#endif

int got = 1;      /* the receiver authenticated it, and it is still in the window */
int again;        /* reliable and not acknowledged: may be sent again */
byte highest;     /* the receiver's highest */
byte acked;       /* the highest that the sender knows to be acknowledged */
bool heard;       /* the sender authenticated a packet of the other side */
byte early;       /* messages sent before */
bool calm;
int low, block;

#ifdef NO_ACKED_RULE
#define WITHIN_ACKED true
#else
#define WITHIN_ACKED (acked + 1 <= R) /* n <= acked + R */
#endif
#ifdef NO_BASE_RULE
#define WITHIN_BASE true
#else
#define WITHIN_BASE ((again >> (R - 1)) == 0) /* n < base + R */
#endif
#define MAY_SEND (WITHIN_ACKED && WITHIN_BASE && (heard || early < UNCONFIRMED))

/* A message that would be sent unreliably at n >= acked + R/2, nothing reliable in flight, is sent reliably. */
#ifdef NO_HALF_RULE
#define MUST_BE_RELIABLE false
#else
#define MUST_BE_RELIABLE (acked + 1 >= R / 2 && again == 0)
#endif

#ifdef NO_PING
#define SOMETHING_OUT (again != 0)
#else
#define SOMETHING_OUT (again != 0 || !heard)
#endif

#define IN_WINDOW(d) (d <= highest + R - 1 && highest <= d + R)

/* The oldest that may be sent again: the highest bit. */
inline find_oldest() {
    low = 0;
    do
    :: again >> (low + 1) -> low++
    :: else -> break
    od
}

inline find_newest() {
    low = 0;
    do
    :: (again >> low) & 1 -> break
    :: else -> low++
    od
}

inline check() {
    assert(MAY_SEND || SOMETHING_OUT);
    if
    :: again != 0 ->
        find_oldest();
        assert(low <= highest + R - 1); /* highest + 1 - R is the window's lowest */
        find_newest();
        assert(highest <= low + R)
    :: else
    fi;
    low = 0
}

/* What lies below the window is of no interest any more. */
inline forget() {
    got = got & ((1 << (highest + R)) - 1)
}

inline send(reliable) {
    assert(((got | again) >> (W - 1)) == 0);
    got = got << 1;
    again = (again << 1) | reliable;
    highest++;
    acked++;
    if
    :: !heard -> early++
    :: else
    fi;
    assert(highest <= R); /* the receiver can follow */
    forget();
    check()
}

inline arrive(d) {
    if
    :: IN_WINDOW(d) ->
        got = got | (1 << d);
        if
        :: d < highest -> highest = d
        :: else
        fi;
        forget();
        check()
    :: else /* dropped */
    fi
}

inline hear() {
    heard = true; early = 0
}

/* An ack block names d. */
inline learn(d) {
    hear();
    block = 1 << d;
    again = again & ~block;
    if
    :: d < acked -> acked = d
    :: else
    fi;
    check();
    block = 0
}

init {
    byte d;
#ifndef CLIENT
    heard = true;
#endif
    do
    :: atomic { !calm && MAY_SEND -> send(1) }
    :: atomic { !calm && MAY_SEND ->
        if
        :: MUST_BE_RELIABLE -> send(1)
        :: else -> send(0)
        fi }
    :: atomic { !calm ->
        select(d : 0 .. W - 1);
        if
        :: ((got >> d) & 1) == 0 -> arrive(d)
        :: (got >> d) & 1 -> learn(d)
        fi;
        d = 0 }
    :: atomic { !calm && !heard -> hear() } /* PONG, or a message the other way */
    :: atomic { !calm -> calm = true }
    :: atomic { calm && SOMETHING_OUT ->
        hear();
        do
        :: again != 0 ->
            find_oldest();
            d = low;
            assert(IN_WINDOW(d));
            arrive(d);
            learn(d)
        :: else -> break
        od;
        d = 0; low = 0 }
    :: atomic { calm && !SOMETHING_OUT -> assert(MAY_SEND); break }
    od
}
