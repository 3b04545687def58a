#include "build.h"

// From the Makefile: a manifest that knew the commit had every module looked at anew.
#if __has_include("commit.h")
#include "commit.h"
#else
#define OURO_COMMIT "unknown"
#endif

const char *ouro_build_commit(void) {
    return OURO_COMMIT;
}
