#include "build.h"

const char *ouro_build_commit(void) {
    return OURO_COMMIT;
}
