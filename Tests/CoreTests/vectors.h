/* Where the vectors come from: a file on a host, the program itself on a board. */
#ifndef VECTORS_H
#define VECTORS_H

#include <cjson/cJSON.h>

/* The document, or NULL. */
const cJSON *load_vectors(void);

#endif
