#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned passed, failed, failures_here;

static bool report(bool good, const char *text, const char *file, int line) {
    if (!good) {
        failures_here++;
        printf("%s:%d: %s\n", file, line, text);
    }
    return good;
}

bool check(bool condition, const char *text, const char *file, int line) {
    return report(condition, text, file, line);
}

bool check_equal(uint64_t a, uint64_t b, const char *text, const char *file, int line) {
    if (a != b)
        printf("  %" PRIu64 " is not %" PRIu64 "\n", a, b);
    return report(a == b, text, file, line);
}

bool check_bytes(const uint8_t *a, const uint8_t *b, size_t len, const char *text, const char *file,
                 int line) {
    return report(memcmp(a, b, len) == 0, text, file, line);
}

void run_test(const char *name, void (*test)(void)) {
    failures_here = 0;
    test();
    if (failures_here == 0) {
        passed++;
    } else {
        failed++;
        printf("FAILED %s\n", name);
    }
    fflush(stdout);
}

static const struct {
    const char *name;
    void (*tests)(void);
} suites[] = {
    {"crypto", crypto_tests},   {"vectors", vector_tests},  {"packet", packet_tests},
    {"window", window_tests},   {"session", session_tests}, {"handshake", handshake_tests},
    {"epochs", epoch_tests},    {"hostile", hostile_tests}, {"senseless", senseless_tests},
    {"rules", rule_tests},      {"flow", flow_tests},       {"paths", path_tests},
    {"dead", dead_tests},       {"closing", close_tests},   {"limits", limit_tests},
    {"server", server_tests},   {"stream", stream_tests},   {"sleep", sleep_tests},
    {"network", network_tests}, {"figures", figure_tests},
};

/* Without arguments every suite runs, else those that are named. */
int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        bool wanted = argc == 1;
        for (int k = 1; k < argc; k++)
            wanted |= strcmp(argv[k], suites[i].name) == 0;
        if (wanted)
            suites[i].tests();
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 && passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
