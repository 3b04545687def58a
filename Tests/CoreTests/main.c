#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    void (*tests)(void);
} suites[] = {
    {"crypto", crypto_tests}, {"vectors", vector_tests},    {"packet", packet_tests},
    {"window", window_tests}, {"session", session_tests},   {"handshake", handshake_tests},
    {"epochs", epoch_tests},  {"hostile", hostile_tests},   {"senseless", senseless_tests},
    {"rules", rule_tests},    {"flow", flow_tests},         {"paths", path_tests},
    {"dead", dead_tests},     {"stalled", stalled_tests},   {"once", once_tests},
    {"short", short_tests},   {"silence", silence_tests},   {"closing", close_tests},
    {"ends", end_tests},      {"replaced", replaced_tests}, {"attacks", attack_tests},
    {"limits", limit_tests},  {"waiting", wait_tests},      {"misuse", misuse_tests},
    {"ranges", range_tests},  {"borders", border_tests},    {"edges", edge_tests},
    {"erasure", erase_tests}, {"server", server_tests},     {"ahead", ahead_tests},
    {"stream", stream_tests}, {"slow", slow_stream_tests},  {"sleep", sleep_tests},
    {"flags", flag_tests},    {"fleet", fleet_tests},       {"network", network_tests},
    {"faults", fault_tests},  {"figures", figure_tests},    {"numbers", number_tests},
    {"blob", blob_tests},     {"routes", route_tests},
};

enum { SUITES = sizeof suites / sizeof suites[0] };

static bool is_suite(const char *name) {
    for (size_t i = 0; i < SUITES; i++)
        if (strcmp(name, suites[i].name) == 0)
            return true;
    return false;
}

/*
 * Without arguments every suite runs, else those that are named. With OURO_STOP the first test that
 * fails is the last, and its suite is told.
 */
int main(int argc, char **argv) {
    const bool stops = getenv("OURO_STOP") != NULL;
    for (int k = 1; k < argc; k++)
        if (!is_suite(argv[k])) {
            printf("%s is no suite: see Tests/CoreTests/main.c\n", argv[k]);
            return EXIT_FAILURE;
        }
    if (stops)
        stop_at_failure();
    for (size_t i = 0; i < SUITES && !(stops && any_failed()); i++) {
        bool wanted = argc == 1;
        for (int k = 1; k < argc; k++)
            wanted |= strcmp(argv[k], suites[i].name) == 0;
        if (!wanted)
            continue;
        suites[i].tests();
        if (stops && any_failed())
            printf("stopped at: %s\n", suites[i].name);
    }
    return report_sum() ? EXIT_SUCCESS : EXIT_FAILURE;
}
