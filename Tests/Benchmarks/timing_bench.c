/*
 * Does the time taken depend on secrets? After dudect (Reparaz, Balasch, Verbauwhede, 2017): two
 * classes of secrets, fixed and random, in random order; Welch's t of their times. |t| under 10
 * over a million samples a class says that nothing was seen; a comparison that stops at the first
 * difference has to be seen, or the test could not see anything.
 */
#include "ouroboros/ouroboros.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLES = 2000000, BODY = 64, LIMIT = 10 };

static uint64_t state = 88172645463325252u;

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void fill(uint8_t *out, size_t len) {
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(next_random() >> 24);
}

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

typedef struct input {
    uint8_t key[32];
    uint8_t body[BODY];
} input;

static volatile bool sink;

static const uint8_t expected[BODY];

static void compare(input *in) {
    sink = ouro_equal(in->body, expected, BODY);
}

static void scramble(input *in) {
    sink = ouro_scramble(in->key, in->body, BODY) == OURO_OK;
}

static void unscramble(input *in) {
    sink = ouro_unscramble(in->key, in->body, BODY) == OURO_OK;
}

/* The leak that has to be found. */
static void compare_and_stop(input *in) {
    size_t i = 0;
    while (i < BODY && in->body[i] == expected[i])
        i++;
    sink = i == BODY;
}

typedef struct moments {
    double count, mean, squares;
} moments;

static void add(moments *m, double x) {
    double off = x - m->mean;
    m->count++;
    m->mean += off / m->count;
    m->squares += off * (x - m->mean);
}

static double welch(const moments *a, const moments *b) {
    double va = a->squares / (a->count - 1), vb = b->squares / (b->count - 1);
    return (a->mean - b->mean) / sqrt(va / a->count + vb / b->count);
}

/* The scramble's pairing numbers are public, so the key stays and the body is the secret. */
static double measure(void (*what)(input *), double ceiling) {
    moments classes[2] = {{0, 0, 0}, {0, 0, 0}};
    for (int i = 0; i < SAMPLES; i++) {
        input in;
        unsigned class = (unsigned)(next_random() >> 40) & 1;
        fill(in.body, sizeof in.body);
        memset(in.key, 5, sizeof in.key);
        /* Both classes are made by the same work, or what follows it would tell them apart. */
        for (size_t j = 0; j < sizeof in.body; j++)
            in.body[j] &= (uint8_t)(0 - class);
        double start = now_ns();
        what(&in);
        double spent = now_ns() - start;
        /* Interrupted samples say nothing. */
        if (spent < ceiling)
            add(&classes[class], spent);
    }
    return welch(&classes[0], &classes[1]);
}

static double typical(void (*what)(input *)) {
    double least = 1e9;
    for (int i = 0; i < 20000; i++) {
        input in;
        memset(&in, 1, sizeof in);
        double start = now_ns();
        what(&in);
        double spent = now_ns() - start;
        least = spent < least ? spent : least;
    }
    return least;
}

int main(void) {
    static const struct {
        const char *name;
        void (*what)(input *);
        bool leaks;
    } rows[] = {{"tag comparison", compare, false},
                {"scramble", scramble, false},
                {"unscramble", unscramble, false},
                {"a comparison that leaks", compare_and_stop, true}};
    bool good = true;
    printf("time and secrets, %d samples, %d bytes\n", SAMPLES, BODY);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double t = measure(rows[i].what, 3 * typical(rows[i].what) + 50);
        bool seen = fabs(t) >= LIMIT;
        printf("%-26s |t| = %8.1f  %s\n", rows[i].name, fabs(t), seen ? "depends" : "nothing seen");
        good = good && seen == rows[i].leaks;
    }
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
