/* openapi: the public API as an OpenAPI 3 document, made from routes.def and schemas.def. It is
 * kept in docs/openapi.json and served by the gateway at /openapi.json. */
#pragma once

#include "json_writer.h"

/* Writes the whole document as one value. */
void openapi_write(struct json_writer *w);
