/* api: what becomes of one HTTP request, from its path to its answer. */
#pragma once

#include "http.h"
#include "mux.h"
#include "node.h"
#include "settings.h"

struct api;

/* Reads its secrets; dies with a sentence when they are not there. */
struct api *api_new(struct node *node, const struct settings *settings, struct mux *mux);
void api_destroy(struct api **api_p);

/* As of struct http_server: inside a fiber. */
void api_handle(void *api, struct http_exchange *exchange);
/* As many requests as may be are under way: the next one would be refused. */
bool api_is_full(void *api);
void api_refuse(void *api, struct http_exchange *exchange, int status, const char *message);
