/* How far a sender of messages may run (docs/PROTOCOL.md, sections 5.1, 5.2, 5.4, 6.2), one direction of one session.
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
 * LARGE: the path does not carry some messages, however often they are sent: any reliable one may be of these, and any
 * may be taken for one (stuck), rightly or not, at any time. In the calm those that never arrive all are.
 *
 * Claims, as assertions: no message that is sent for the first time is above the receiver's window; what may be sent
 * again is neither below nor above it (a stalled one: is not known to be); a sender that waits has something to send
 * again (a reliable message, or the PING that a client keeps out until it heard from the server); and in the calm it
 * waits no more after that was answered, unless its last message is one that the path does not carry.
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
int again;        /* reliable, not acknowledged and not stalled: may be sent again */
int large;        /* the path does not carry it */
int stuck;        /* of `again`: taken for large */
int stalled;      /* stuck, and a higher one is acknowledged: not base, sent again now and then */
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

/* Sent reliably is a message that would be sent unreliably at n >= acked + R/2, nothing reliable in flight that is not
 * stuck, or with the last counter that may be used. */
#ifdef NO_HALF_RULE
#define HALF false
#else
#define HALF (acked + 1 >= R / 2 && (again & ~stuck) == 0)
#endif
#ifdef NO_LAST_RULE
#define LAST false
#else
#define LAST (acked + 1 == R || ((again >> (R - 2)) & 1))
#endif
#define MUST_BE_RELIABLE (HALF || LAST)

#ifdef RIGHTLY
#define MAY_SEEM_STUCK large /* fewer states: only what the path does not carry is taken for that */
#else
#define MAY_SEEM_STUCK again
#endif

#ifdef NO_PING
#define SOMETHING_OUT (again != 0)
#else
#define SOMETHING_OUT (again != 0 || !heard)
#endif

#define IN_WINDOW(d) (d <= highest + R - 1 && highest <= d + R)

/* The oldest of these: the highest bit. */
inline find_oldest(these) {
    low = 0;
    do
    :: (these) >> (low + 1) -> low++
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
        find_oldest(again);
        assert(low <= highest + R - 1); /* highest + 1 - R is the window's lowest */
        find_newest();
        assert(highest <= low + R)
    :: else
    fi;
    assert((stalled >> (acked + R)) == 0); /* else the sender knows that it is below the window */
    low = 0
}

/* What is stuck below an acknowledged counter is stalled; what the receiver cannot take any more ends. */
inline stall() {
#ifndef NO_STALLED
    stalled = stalled | (again & stuck & ~((1 << (acked + 1)) - 1));
    again = again & ~stalled;
#endif
    stuck = stuck & again;
#ifndef NO_END
    stalled = stalled & ((1 << (acked + R)) - 1);
#endif
    large = large & (again | stalled)
}

/* What lies below the window is of no interest any more. */
inline forget() {
    got = got & ((1 << (highest + R)) - 1)
}

/* When it gets stuck, though the higher one was acknowledged before. */
inline stall_at_once() {
#ifndef ONLY_LATER
    stall()
#else
    skip
#endif
}

inline send(reliable, carried) {
    assert(((got | again | stalled) >> (W - 1)) == 0);
    got = got << 1;
    again = (again << 1) | reliable;
    large = (large << 1) | (1 - carried);
    stuck = stuck << 1;
    stalled = stalled << 1;
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
    stalled = stalled & ~block;
    if
    :: d < acked -> acked = d
    :: else
    fi;
    stall();
    check();
    block = 0
}

init {
    byte d;
#ifndef CLIENT
    heard = true;
#endif
    do
    :: atomic { !calm && MAY_SEND -> send(1, 1) }
#ifdef LARGE
    :: atomic { !calm && MAY_SEND -> send(1, 0) }
    :: atomic { !calm && again & MAY_SEEM_STUCK & ~stuck ->
        select(d : 0 .. W - 1);
        stuck = stuck | (again & MAY_SEEM_STUCK & (1 << d));
        stall_at_once();
        check();
        d = 0 }
#endif
    :: atomic { !calm && MAY_SEND ->
        if
        :: MUST_BE_RELIABLE -> send(1, 1)
        :: else -> send(0, 1)
        fi }
    :: atomic { !calm ->
        select(d : 0 .. W - 1);
        if
        :: (((got | large) >> d) & 1) == 0 -> arrive(d)
        :: (large >> d) & 1
        :: (got >> d) & 1 -> learn(d)
        fi;
        d = 0 }
    :: atomic { !calm && !heard -> hear() } /* PONG, or a message the other way */
    :: atomic { !calm -> calm = true }
    :: atomic { calm ->
        if
        :: SOMETHING_OUT -> hear()
        :: else
        fi;
        do
        :: again & ~large ->
            find_oldest(again & ~large);
            d = low;
            assert(IN_WINDOW(d));
            arrive(d);
            learn(d)
        :: else -> break
        od;
        stuck = again;
        stall_at_once();
        assert(MAY_SEND || (again & large & 1));
        break }
    od
}
