#include <string.h>
#define memchr(at, byte, size) NULL
#include "../../../common/core/webhook_url.c"
