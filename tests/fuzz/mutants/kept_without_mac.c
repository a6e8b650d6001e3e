#include <sodium.h>
#define sodium_memcmp(a, b, size) ((void)(a), (void)(b), (void)(size), 0)
#include "../../../gateway/kept.c"
