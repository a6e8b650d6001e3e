/* api_version: the shapes that the API had over time, from api_version.def: which versions there
 * are, what each changed, and how an object that was written for an old one is shown to a newer.
 *
 * What is written for several readers (an event) is written in the oldest of their shapes: a newer
 * shape has less, so it can be made from an older one, never the other way round. */
#pragma once

#include "json_writer.h"
#include "text.h"
#include <stdbool.h>

#define API_VERSION_NEWEST "2026-10-28.endive"
#define API_VERSION_SIZE_MAX 63

// clang-format off
#define VERSION(version)
#define CHANGE(name, since, object, member, doc) API_##name,
enum api_change {
#include "api_version.def"
    API_CHANGE_COUNT };
#undef VERSION
#undef CHANGE
// clang-format on

/* Is there such a version? By its whole name alone: 2026-10-28 is none. */
bool api_version_known(struct text version);
/* Absent, a version is the newest. */
bool api_version_has(struct text version, enum api_change change);
/* The older of two, either of which may be absent. */
struct text api_version_older(struct text a, struct text b);
/* Shows an object, or some of its members (`kind` says of what), as that version does: without what
 * the version no longer has. NO_TEXT is shown as null. Writes no more bytes than `json` has. */
void api_version_show(struct json_writer *w, struct text kind, struct text json,
                      struct text version);

/* The nth version, the oldest first, and the nth change; NULL and false beyond the last. */
const char *api_version_at(size_t index);
struct api_change_row {
    const char *since, *object, *member, *doc;
};
bool api_change_at(size_t index, struct api_change_row *row);
