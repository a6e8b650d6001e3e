/* settings: what operators may want otherwise, from settings.def. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NUMBER_AS_SETTING(name, high) int64_t name;
#define WORDS_AS_SETTING(name, high) char name[(high) + 1];
#define SETTING(kind, name, otherwise, low, high, doc) kind##_AS_SETTING(name, high)
struct settings {
#include "settings.def"
};
#undef SETTING

/* Reads HOME/florin.conf (absent: all defaults), then FLORIN_PORT. False with one sentence in
 * `error`, naming the line, when anything is unknown, given twice, out of bounds or not UTF-8. */
bool settings_read(const char *home, struct settings *settings, char *error, size_t error_size);
/* As settings_read, but dies with the sentence. */
void settings_load(const char *home, struct settings *settings);
/* The operator's own connection string for the database of a partition (partition.h); "": the
 * private Postgres. */
const char *settings_postgres(const struct settings *settings, int partition);
/* A commented florin.conf with every default. */
void settings_write_defaults(int fd);
