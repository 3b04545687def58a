/* What the images in Swift ask of C beside board.h. */
#ifndef OURO_SWIFT_RUNTIME_H
#define OURO_SWIFT_RUNTIME_H

#include <stddef.h>

/* Bytes that the heap has taken of the board's memory, at the most. */
size_t runtime_heap_bytes(void);

#endif
