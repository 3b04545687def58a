/* Each struct's size as the size of a symbol: read from the object file, not run. */
#include "pair.h"

#define SIZE_OF(type) char size_of_##type[sizeof(type)]

SIZE_OF(ouro_slot);
SIZE_OF(ouro_session);
SIZE_OF(ouro_tail);
SIZE_OF(ouro_link);
SIZE_OF(ouro_client);
SIZE_OF(ouro_place);
SIZE_OF(ouro_prepared);
SIZE_OF(pair_device);
