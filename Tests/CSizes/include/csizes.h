/* The sizes of the engine's structs as a C compiler sees them. */
#ifndef CSIZES_H
#define CSIZES_H

#include <stddef.h>

typedef struct size_of {
    const char *name;
    size_t size, align;
} size_of;

/* Ends with a NULL name. */
const size_of *c_sizes(void);

#endif
