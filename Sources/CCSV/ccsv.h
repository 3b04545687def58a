// libcsv: comma-separated values (apt: libcsv-dev).
#include <csv.h>
