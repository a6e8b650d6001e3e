/* Prints docs/openapi.json: the public API as routes.def and schemas.def have it. */
#include "openapi.h"

#include <stdio.h>

static char compact[4 << 20], laid_out[8 << 20];

int
main(void)
{
    struct json_writer w;
    json_writer_init(&w, compact, sizeof compact);
    openapi_write(&w);
    if (w.full) {
        fputs("openapidoc: the document is larger than its buffer.\n", stderr);
        return 1;
    }
    const size_t size = json_pretty(json_writer_text(&w), laid_out, sizeof laid_out);
    return fwrite(laid_out, 1, size, stdout) != size || puts("") < 0;
}
