/* What this device was given in NVS, beside its credential. */
#ifndef PROVISIONED_H
#define PROVISIONED_H

#include <stdbool.h>
#include <stddef.h>

/* A text of NVS, with its NUL; false if there is none that fits. */
bool provisioned(const char *name, char *out, size_t cap);

#endif
