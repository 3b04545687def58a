/* Acknowledgements in a stream (docs/PROTOCOL.md, sections 2.5 and 6.10): one direction of one session, N messages, all
 * reliable and in order. The application may hand messages on in any order, at any time. Two things are asked.
 *
 * What is told delivered was handed on; and once the application has handed on all that it was given, all that arrived is
 * told delivered, however far the sender ran.
 *
 * And of a dead path: the other side is there until it is not. While it reads it answers the PING; while its application
 * is slow it does not read, and sends an ACK now and then. The clock is told by silence alone: `tick` is 45 s of it. The
 * side that waits for an acknowledgement ends in the end if the other side is gone, and never while it is there.
 *
 * run.sh says with which -D this is checked, and with which it must be found broken. */

#ifndef N
#define N 6
#endif
#define AHEAD 3 /* how far a receiver reads past the lowest that is not handed on: 64 in the protocol */
#define NAMED 2 /* mutation NOT_CUMULATIVE: how many counters a block names: 65 without the rule */

byte sent, arrived;    /* counters below these */
int handed_on;         /* bits */
byte block;            /* the receiver's highest + 1: 0 is no block */
int delivered;         /* bits: what the sender has told its application */
byte low;              /* the lowest that is not handed on */

bool gone;             /* the other side */
bool reads = true;     /* it reads the stream */
bool ping;             /* one is unanswered */
bool heard;            /* something was authenticated since it was sent */
bool silent;           /* nothing came for 45 s, nor will */
bool dead;             /* this side has ended the stream */

#ifdef SINCE_PING
#define DEAD !heard /* mutation: nothing at all was authenticated since the PING was sent */
#else
#define DEAD true   /* nothing was authenticated for 45 s, since the PING or after */
#endif
#define ALL(n) ((1 << (n)) - 1)
#define UNACKNOWLEDGED (delivered != ALL(sent))

inline find_low() {
    low = 0;
    do
    :: (handed_on >> low) & 1 -> low++
    :: else -> break
    od
}

inline hand_on(n) {
    handed_on = handed_on | (1 << n);
    find_low();
#ifdef EAGER
    /* Mutation: highest is the highest that was handed on, as over datagrams. */
    if
    :: n + 1 > block -> block = n + 1
    :: else
    fi
#else
    block = low
#endif
}

/* An ack block arrives. */
inline learn() {
#ifdef NOT_CUMULATIVE
    /* Mutation: a block names itself and those just below, and nothing else. */
    if
    :: block > NAMED -> delivered = delivered | (ALL(block) & ~ALL(block - NAMED))
    :: else -> delivered = delivered | ALL(block)
    fi;
#else
    delivered = delivered | ALL(block);
#endif
    assert((delivered & ~handed_on) == 0);
    heard = true
}

init {
    byte n;
    do
    :: atomic { !dead && sent < N -> sent++ }
    /* The receiver reads, in order. */
    :: atomic { !gone && reads && arrived < sent && arrived < low + AHEAD -> arrived++ }
    :: atomic { !gone && arrived > 0 ->
        select(n : 0 .. arrived - 1);
        if
        :: ((handed_on >> n) & 1) == 0 -> hand_on(n)
        :: else
        fi;
        n = 0 }
    :: atomic { !gone -> reads = !reads }
    /* It acknowledges what it has, at once or late; while it does not read, an ACK or a PING now and then. */
    :: atomic { !gone && !dead && block > 0 -> learn() }
    :: atomic { !gone && !dead && !reads -> heard = true }
    :: atomic { !gone && !dead && reads && ping -> ping = false } /* PONG */
    :: atomic { !gone -> gone = true }
    /* This side asks. */
    :: atomic { !dead && UNACKNOWLEDGED && !ping -> ping = true; heard = false }
    /* 45 s of silence: for as long as the other side is there, something comes before that while a PING is out, as it
     * either answers or says that it does not read. */
#ifdef MUTE
    /* Mutation: who does not read says nothing, either. */
    :: atomic { !dead && ping && (gone || !reads) && !silent -> silent = true }
#else
    :: atomic { !dead && ping && gone && !silent -> silent = true }
#endif
    :: atomic { !dead && ping && silent && DEAD -> dead = true; assert(gone) }
    /* The end: nothing is sent any more, and whatever can happen has. */
    :: atomic { !gone && sent == N && handed_on == ALL(N) && block == low ->
        learn();
        assert(!UNACKNOWLEDGED);
        break }
    :: atomic { gone && UNACKNOWLEDGED && ping && silent && !(DEAD) -> assert(false) } /* waits for ever */
    :: atomic { dead -> break }
    :: atomic { gone && !UNACKNOWLEDGED -> break }
    od
}
