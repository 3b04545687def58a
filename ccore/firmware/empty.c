/* What an image weighs before there is anything in it. */
#include "board.h"

int main(void) {
    return 0;
}
