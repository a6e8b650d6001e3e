#include <string.h>
#define memchr(at, byte, size) memchr(at, byte, (size) + 1)
#include "../../../common/core/form.c"
