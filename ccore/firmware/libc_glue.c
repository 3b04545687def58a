/* What newlib and picolibc ask of a board, for the tests: printf and malloc. */
#include "board.h"

#include <stdio.h>

#ifdef __PICOLIBC__
static int put(char c, FILE *file) {
    (void)file;
    board_write(&c, 1);
    return (unsigned char)c;
}

static FILE console = FDEV_SETUP_STREAM(put, NULL, NULL, _FDEV_SETUP_WRITE);
FILE *const stdin = &console;
FILE *const stdout = &console;
FILE *const stderr = &console;
#else
#include <errno.h>
#include <sys/types.h>

extern char image_heap[], image_heap_end[];

int _write(int file, const char *text, int len);
void *_sbrk(ptrdiff_t more);

int _write(int file, const char *text, int len) {
    (void)file;
    board_write(text, (size_t)len);
    return len;
}

void *_sbrk(ptrdiff_t more) {
    static char *heap = image_heap;
    if (more > image_heap_end - heap) {
        errno = ENOMEM;
        return (void *)-1;
    }
    heap += more;
    return heap - more;
}
#endif

void _exit(int status) __attribute__((noreturn));
void _exit(int status) {
    board_exit(status);
}
