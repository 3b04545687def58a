#include "check.h"

#include <stdio.h>
#include <string.h>

static unsigned passed, failed, checks_here, failures_here;
static bool stops;

static bool report(bool good, const char *text, const char *file, int line) {
    checks_here++;
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
        printf("  %llu is not %llu\n", (unsigned long long)a, (unsigned long long)b);
    return report(a == b, text, file, line);
}

bool check_bytes(const uint8_t *a, const uint8_t *b, size_t len, const char *text, const char *file,
                 int line) {
    return report(memcmp(a, b, len) == 0, text, file, line);
}

void stop_at_failure(void) {
    stops = true;
}

void run_test(const char *name, void (*test)(void)) {
    if (stops && failed > 0)
        return;
    checks_here = failures_here = 0;
    test();
    if (checks_here > 0 && failures_here == 0) {
        passed++;
    } else {
        failed++;
        printf("FAILED %s%s\n", name, checks_here == 0 ? ": it checked nothing" : "");
    }
    fflush(stdout);
}

bool any_failed(void) {
    return failed > 0;
}

bool report_sum(void) {
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 && passed > 0;
}
