/* The fault runs on the host, to compare with. */
#include "check.h"
#include "fault_run.h"

#include <stdlib.h>

static void runs(void) {
    for (uint32_t seed = 1; seed <= FAULT_RUNS; seed++)
        fault_run(seed);
}

int main(void) {
    RUN(primitives_run);
    RUN(runs);
    return report_sum() ? EXIT_SUCCESS : EXIT_FAILURE;
}
