#include <string.h>
#define strchr(set, byte) (set)
#include "../../../common/core/json_reader.c"
