#include "settings.h"

#include "log.h"
#include "partition.h"
#include "wire.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 65536 };

struct setting {
    const char *name;
    bool is_number;
    int64_t number;    /* the default of a NUMBER */
    const char *words; /* the default of WORDS */
    int64_t low, high;
    size_t offset;
    const char *doc;
};

// clang-format off
#define NUMBER_AS_DEFAULT(otherwise) true, (otherwise), NULL
#define WORDS_AS_DEFAULT(otherwise)  false, 0, (otherwise)
#define SETTING(kind, name, otherwise, low, high, doc) \
    {#name, kind##_AS_DEFAULT(otherwise), (low), (high), offsetof(struct settings, name), doc},
static const struct setting table[] = {
#include "settings.def"
};
#undef SETTING
static const char *const retired[] = {
#define SETTING(kind, name, otherwise, low, high, doc)
#define RETIRED(name) #name,
#include "settings.def"
#undef SETTING
};
// clang-format on

enum {
    SETTING_COUNT = sizeof table / sizeof table[0],
    RETIRED_COUNT = sizeof retired / sizeof retired[0]
};

/* Where a sentence about what is wrong goes, and the line that it is about (0: none). */
struct complaint {
    const char *path;
    int line;
    char *out;
    size_t cap;
};

__attribute__((format(printf, 2, 3))) static bool
complain(const struct complaint *about, const char *format, ...)
{
    char sentence[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    if (about->line)
        snprintf(about->out, about->cap, "%s, line %d: %s", about->path, about->line, sentence);
    else
        snprintf(about->out, about->cap, "%s %s", about->path, sentence);
    return false;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct text
trimmed(struct text t)
{
    while (t.size && is_blank(t.at[0])) {
        t.at++;
        t.size--;
    }
    while (t.size && is_blank(t.at[t.size - 1]))
        t.size--;
    return t;
}

/* Digits with at most one sign, and nothing else: "30s" is not thirty. */
static bool
parse_number(struct text t, int64_t *number)
{
    char digits[24], *end;
    if (t.size == 0 || t.size >= sizeof digits) return false;
    memcpy(digits, t.at, t.size);
    digits[t.size] = 0;
    if (strspn(digits + (digits[0] == '-'), "0123456789") != t.size - (digits[0] == '-'))
        return false;
    errno = 0;
    *number = strtoll(digits, &end, 10);
    return errno == 0 && end != digits && *end == 0;
}

static bool
is_log_level(const char *word)
{
    return !strcmp(word, "debug") || !strcmp(word, "info") || !strcmp(word, "warning") ||
           !strcmp(word, "error");
}

static bool
set(const struct setting *row, struct text value, struct settings *settings,
    const struct complaint *about)
{
    void *const member = (char *)settings + row->offset;
    int64_t number;
    if (row->is_number) {
        if (!parse_number(value, &number))
            return complain(about, "%s must be a whole number (%s).", row->name, row->doc);
        if (number < row->low || number > row->high)
            return complain(about, "%s must be between %lld and %lld (%s).", row->name,
                            (long long)row->low, (long long)row->high, row->doc);
        *(int64_t *)member = number;
        return true;
    }
    if ((int64_t)value.size < row->low || (int64_t)value.size > row->high)
        return complain(about, "%s must have between %lld and %lld characters (%s).", row->name,
                        (long long)row->low, (long long)row->high, row->doc);
    memcpy(member, value.at, value.size);
    ((char *)member)[value.size] = 0;
    if (member == (void *)settings->log_level && !is_log_level(settings->log_level))
        return complain(about, "log_level must be debug, info, warning or error.");
    return true;
}

/* One line without its end. `given` holds the line in which each setting was given. */
static bool
read_line(struct text line, struct settings *settings, int given[SETTING_COUNT],
          const struct complaint *about)
{
    line = trimmed(line);
    if (line.size == 0 || line.at[0] == '#') return true;
    if (!wire_text_is_clean(line.at, line.size)) return complain(about, "this is not UTF-8.");
    for (size_t i = 0; i < line.size; i++)
        if ((unsigned char)line.at[i] < 0x20 && line.at[i] != '\t')
            return complain(about, "there is a control character in it.");
    const char *equals = memchr(line.at, '=', line.size);
    if (!equals) return complain(about, "expected `name = value`.");
    const struct text name = trimmed((struct text){line.at, (size_t)(equals - line.at)});
    const struct text value =
        trimmed((struct text){equals + 1, line.size - (size_t)(equals + 1 - line.at)});
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (!text_is(name, table[i].name)) continue;
        if (given[i])
            return complain(about, "%s was given before, in line %d.", table[i].name, given[i]);
        given[i] = about->line;
        return set(&table[i], value, settings, about);
    }
    for (size_t i = 0; i < RETIRED_COUNT; i++)
        if (text_is(name, retired[i])) return true;
    return complain(about, "there is no setting called `%.*s`.",
                    name.size < 64 ? (int)name.size : 64, name.at);
}

static bool
read_lines(struct text file, struct settings *settings, struct complaint *about)
{
    int given[SETTING_COUNT] = {0};
    while (file.size) {
        const char *end = memchr(file.at, '\n', file.size);
        about->line++;
        if (!end) return complain(about, "the file was cut off here: the line does not end.");
        const size_t size = (size_t)(end - file.at);
        if (!read_line((struct text){file.at, size}, settings, given, about)) return false;
        file.at += size + 1;
        file.size -= size + 1;
    }
    about->line = 0;
    return true;
}

/* Reads the file that is open, if it is one that only its owner could have written. */
static bool
read_open_file(int fd, struct settings *settings, struct complaint *about)
{
    static const char too_long[] = "is longer than 65536 bytes: it cannot be a settings file.";
    struct stat status;
    if (fstat(fd, &status) != 0) return complain(about, "cannot be read: %s.", strerror(errno));
    if (!S_ISREG(status.st_mode)) return complain(about, "is not a regular file.");
    if (status.st_mode & S_IWOTH)
        return complain(about, "may be written by everybody: take that right away (chmod o-w).");
    if (status.st_size > FILE_BYTES_MAX) return complain(about, "%s", too_long);

    char *bytes = malloc(FILE_BYTES_MAX + 1);
    size_t size = 0;
    if (!bytes) return complain(about, "cannot be read: no memory.");
    while (size <= FILE_BYTES_MAX) {
        const ssize_t n = read(fd, bytes + size, FILE_BYTES_MAX + 1 - size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            free(bytes);
            return complain(about, "cannot be read: %s.", strerror(errno));
        }
        if (n == 0) break;
        size += (size_t)n;
    }
    const bool good = size <= FILE_BYTES_MAX
                          ? read_lines((struct text){bytes, size}, settings, about)
                          : complain(about, "%s", too_long);
    free(bytes);
    return good;
}

static void
set_defaults(struct settings *settings)
{
    memset(settings, 0, sizeof *settings);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        void *const member = (char *)settings + table[i].offset;
        if (table[i].is_number)
            *(int64_t *)member = table[i].number;
        else
            memcpy(member, table[i].words, strlen(table[i].words) + 1);
    }
}

const char *
settings_postgres(const struct settings *settings, int partition)
{
    const char *const own[] = {settings->postgres_dsn, settings->postgres_dsn_2,
                               settings->postgres_dsn_3, settings->postgres_dsn_4};
    static_assert(sizeof own / sizeof own[0] == PARTITIONS_MAX, "a setting for each");
    assert(partition >= 1 && partition <= PARTITIONS_MAX);
    return *own[partition - 1] ? own[partition - 1] : own[0];
}

/* What settings say together. */
static bool
check_all(const struct settings *settings, const struct complaint *about)
{
    const struct {
        const char *name;
        int64_t count;
    } shared[] = {{"workers", settings->workers}, {"webhook_workers", settings->webhook_workers}};
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
        if (shared[i].count < settings->partitions)
            return complain(about, "has partitions = %lld and %s = %lld: each partition needs one.",
                            (long long)settings->partitions, shared[i].name,
                            (long long)shared[i].count);
    return true;
}

bool
settings_read(const char *home, struct settings *settings, char *error, size_t error_size)
{
    char path[PATH_MAX];
    struct complaint about = {path, 0, error, error_size};
    set_defaults(settings);
    snprintf(path, sizeof path, "%s/florin.conf", home);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ELOOP)
        return complain(&about, "is a symbolic link: put the file itself there.");
    if (fd < 0 && errno != ENOENT) return complain(&about, "cannot be read: %s.", strerror(errno));
    if (fd >= 0) {
        const bool good = read_open_file(fd, settings, &about);
        close(fd);
        if (!good || !check_all(settings, &about)) return false;
    }
    const char *port = getenv("FLORIN_PORT");
    int64_t number;
    if (!port || !*port) return true;
    about.path = "FLORIN_PORT";
    if (!parse_number(text_of(port), &number) || number < 1 || number > 65535)
        return complain(&about, "must be a whole number between 1 and 65535.");
    settings->port = number;
    return true;
}

void
settings_load(const char *home, struct settings *settings)
{
    char error[PATH_MAX + 640];
    if (!settings_read(home, settings, error, sizeof error)) die("%s", error);
}

void
settings_write_defaults(int fd)
{
    dprintf(fd, "# Settings of this Florin instance. A line without # in front of it replaces the "
                "default\n# that it shows; restart afterwards.\n");
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        dprintf(fd, "\n# %s", table[i].doc);
        if (table[i].is_number)
            dprintf(fd, " (%lld to %lld)\n#%s = %lld\n", (long long)table[i].low,
                    (long long)table[i].high, table[i].name, (long long)table[i].number);
        else
            dprintf(fd, "\n#%s = %s\n", table[i].name, table[i].words);
    }
}
