#ifndef OUROBOROS_BUILD_H
#define OUROBOROS_BUILD_H

/* The commit that was built, with "-dirty" where files were changed since; "unknown" outside of
 * make. */
const char *ouro_build_commit(void);

#endif
