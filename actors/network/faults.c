#include "faults.h"

#include "files.h"
#include "journal.h"
#include "log.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct text
trimmed(const char *at, const char *end)
{
    while (at < end && strchr(" \t\r", *at))
        at++;
    while (end > at && strchr(" \t\r", end[-1]))
        end--;
    return (struct text){at, (size_t)(end - at)};
}

static bool
number_of(struct text text, int64_t highest, int64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        *number = *number * 10 + (text.at[i] - '0');
        if (*number > highest) return false;
    }
    return text.size > 0;
}

static bool
set_fault(struct faults *faults, struct text name, struct text value)
{
#define FAULT(fault, highest, doc) \
    if (text_is(name, #fault)) return number_of(value, highest, &faults->fault_##fault);
#include "faults.def"
#undef FAULT
    return false;
}

bool
faults_parse(struct text text, struct faults *faults, char *error, size_t error_size)
{
    struct faults read = {0};
    const char *at = text.at, *const end = text.at + text.size;
    for (int line = 1; at < end; line++) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end) line_end = end;
        const char *comment = memchr(at, '#', (size_t)(line_end - at));
        const struct text words = trimmed(at, comment ? comment : line_end);
        const char *equals = words.size ? memchr(words.at, '=', words.size) : NULL;
        if (words.size > 0 && (!equals || !set_fault(&read, trimmed(words.at, equals),
                                                     trimmed(equals + 1, words.at + words.size)))) {
            snprintf(error, error_size, "line %d is no fault: %.*s", line, (int)words.size,
                     words.at);
            return false;
        }
        at = line_end < end ? line_end + 1 : end;
    }
    *faults = read;
    return true;
}

void
faults_file_init(struct faults_file *file, const char *home)
{
    char folder[4000];
    memset(file, 0, sizeof *file);
    network_journal_folder(home, folder, sizeof folder);
    snprintf(file->path, sizeof file->path, "%s/faults", folder);
}

void
faults_refresh(struct faults_file *file, struct faults *faults)
{
    struct stat now = {0};
    char text[4096], error[256] = "it cannot be read";
    const bool there = stat(file->path, &now) == 0;
    if (now.st_ino == file->inode && now.st_size == file->size &&
        now.st_mtim.tv_sec == file->changed.tv_sec && now.st_mtim.tv_nsec == file->changed.tv_nsec)
        return;
    file->inode = now.st_ino;
    file->size = now.st_size;
    file->changed = now.st_mtim;
    const ssize_t size = there ? file_read(file->path, text, sizeof text) : 0;
    if (size < 0 || !faults_parse((struct text){text, (size_t)size}, faults, error, sizeof error)) {
        log_event(LOG_WARNING, "faults.refused", "file=%s reason=%s", file->path, error);
        return;
    }
    char words[256] = "";
    size_t used = 0;
#define FAULT(name, highest, doc)                                                  \
    used += (size_t)snprintf(words + used, sizeof words - used, " %s=%lld", #name, \
                             (long long)faults->fault_##name);
#include "faults.def"
#undef FAULT
    log_event(LOG_INFO, "faults.changed", "file=%s%s", file->path, words);
}
