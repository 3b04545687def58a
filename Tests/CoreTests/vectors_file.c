#include "vectors.h"

#include <stdio.h>

#ifndef VECTORS
#define VECTORS "Tests/Vectors/ouroboros-v1.json"
#endif

const cJSON *load_vectors(void) {
    FILE *file = fopen(VECTORS, "rb");
    if (file == NULL)
        return NULL;
    static char text[1 << 18];
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = 0;
    return cJSON_Parse(text);
}
