/* handlers: one function for every row of routes.def, under the row's name. Each stands in the file
 * of its resource; handlers.c makes the table from routes to functions and the checks that all of
 * them share. */
#pragma once

#include "call.h"

// clang-format off
#define ROUTE(name, method, path, access, returns, doc) void name(struct call *call);
#define PARAM(route, kind, name, need, low, high, values, doc)
#define ROUTE_END(name)
#include "routes.def"
#undef ROUTE
#undef PARAM
#undef ROUTE_END
// clang-format on
