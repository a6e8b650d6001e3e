#include "http_head.h"
#define HTTP_TWO_LENGTHS HTTP_OK
#include "../../../gateway/http_head.c"
