#ifndef OURO_CPQ_H
#define OURO_CPQ_H
#include <libpq-fe.h>
#endif
