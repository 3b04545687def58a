/* How deep a call reaches into the stack: what lies below is painted before it. */
#ifndef OURO_STACK_PAINT_H
#define OURO_STACK_PAINT_H

#include "board.h"

/* Runs `call(argument)` and returns the bytes of stack that it took. */
size_t stack_of(void (*call)(void *), void *argument);

#endif
