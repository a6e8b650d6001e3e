#include "log.h"

#include "clock.h"
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A line goes out in one write(2), so that threads and processes that share the file do not mix
 * theirs. What is longer is cut. */
enum { LINE_BYTES_MAX = 4096, DIGITS_MIN = 12, DIGITS_MAX = 19, DIGITS_SHOWN = 4 };

static char process[64] = "florin";
static enum log_level least_level = LOG_INFO;

void
log_start(const char *process_name, enum log_level least)
{
    snprintf(process, sizeof process, "%s", process_name);
    least_level = least;
}

struct line {
    char at[LINE_BYTES_MAX];
    size_t size;
};

static void
put(struct line *line, const char *bytes, size_t size)
{
    const size_t room = sizeof line->at - 1 - line->size; /* one for the line's end */
    if (size > room) size = room;
    memcpy(line->at + line->size, bytes, size);
    line->size += size;
}

/* --- card numbers -------------------------------------------------------------------------------
 * A run of 12 to 19 digits, alone or in groups with one space or dash between them, whose last
 * digit is its check digit by Luhn's rule. One number in ten passes by chance: a log that hides
 * too much is the smaller evil. */

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
passes_luhn(const char *digits, size_t count)
{
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)(digits[count - 1 - i] - '0');
        if (i % 2 == 1) digit = digit > 4 ? 2 * digit - 9 : 2 * digit;
        sum += digit;
    }
    return sum % 10 == 0;
}

static void
mask_run(char *at, size_t size, size_t count)
{
    size_t hidden = count - DIGITS_SHOWN;
    for (size_t i = 0; i < size && hidden; i++)
        if (is_digit(at[i])) {
            at[i] = '*';
            hidden--;
        }
}

static void
mask_cards(char *at, size_t size)
{
    for (size_t i = 0; i < size;) {
        char digits[DIGITS_MAX + 1];
        size_t count = 0, end = i;
        if (!is_digit(at[i])) {
            i++;
            continue;
        }
        for (size_t next = i; next < size && is_digit(at[next]);) {
            if (count < sizeof digits) digits[count] = at[next];
            count++;
            end = ++next;
            const bool separated = next + 1 < size && (at[next] == ' ' || at[next] == '-');
            if (separated && is_digit(at[next + 1])) next++;
        }
        if (count >= DIGITS_MIN && count <= DIGITS_MAX && passes_luhn(digits, count))
            mask_run(at + i, end - i, count);
        i = end;
    }
}

/* --- values -------------------------------------------------------------------------------------
 * The format is walked here instead of by vsnprintf, because only who sees where a text begins and
 * ends can quote it: a merchant's description may hold spaces, quotes and line ends, and must not
 * be able to forge a line. */

static void
put_escaped(struct line *line, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const unsigned char c = (unsigned char)text[i];
        char escape[8];
        if (c == '\n')
            put(line, "\\n", 2);
        else if (c < 0x20 || c == 0x7f)
            put(line, escape, (size_t)snprintf(escape, sizeof escape, "\\x%02x", c));
        else
            put(line, text + i, 1);
    }
}

static void
put_value(struct line *line, const char *text, size_t size)
{
    bool plain = size > 0;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == '"' || text[i] == '=') plain = false;
    if (plain) {
        put_escaped(line, text, size);
        return;
    }
    put(line, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"' || text[i] == '\\') put(line, "\\", 1);
        put_escaped(line, text + i, 1);
    }
    put(line, "\"", 1);
}

enum length { LENGTH_INT, LENGTH_LONG, LENGTH_LONG_LONG, LENGTH_SIZE, LENGTH_MAX };

static enum length
take_length(const char **at)
{
    switch (**at) {
    case 'h': *at += (*at)[1] == 'h' ? 2 : 1; return LENGTH_INT;
    case 'l':
        if ((*at)[1] == 'l') {
            *at += 2;
            return LENGTH_LONG_LONG;
        }
        ++*at;
        return LENGTH_LONG;
    case 'z':
    case 't': ++*at; return LENGTH_SIZE;
    case 'j': ++*at; return LENGTH_MAX;
    default: return LENGTH_INT;
    }
}

static intmax_t
take_integer(enum length length, va_list *arguments)
{
    switch (length) {
    case LENGTH_LONG: return va_arg(*arguments, long);
    case LENGTH_LONG_LONG: return va_arg(*arguments, long long);
    case LENGTH_SIZE: return va_arg(*arguments, ssize_t);
    case LENGTH_MAX: return va_arg(*arguments, intmax_t);
    case LENGTH_INT: break;
    }
    return va_arg(*arguments, int);
}

static uintmax_t
take_unsigned(enum length length, va_list *arguments)
{
    switch (length) {
    case LENGTH_LONG: return va_arg(*arguments, unsigned long);
    case LENGTH_LONG_LONG: return va_arg(*arguments, unsigned long long);
    case LENGTH_SIZE: return va_arg(*arguments, size_t);
    case LENGTH_MAX: return va_arg(*arguments, uintmax_t);
    case LENGTH_INT: break;
    }
    return va_arg(*arguments, unsigned);
}

/* A width or a precision: digits, or a star that stands for an argument. -1: none. */
static int
take_number(const char **at, va_list *arguments)
{
    int number = -1;
    if (**at == '*') {
        ++*at;
        return va_arg(*arguments, int);
    }
    for (; is_digit(**at); ++*at)
        number = (number < 0 ? 0 : number) * 10 + (**at - '0');
    return number;
}

/* One conversion, beginning behind its percent sign; returns what is behind it. */
static const char *
put_conversion(struct line *line, const char *at, bool is_value, va_list *arguments)
{
    char flags[8] = "", form[32], out[128];
    int size = 0;
    const size_t flag_count = strspn(at, "-+ #0");
    memcpy(flags, at, flag_count < sizeof flags ? flag_count : 0);
    at += flag_count;
    int width = take_number(&at, arguments), precision = -1;
    if (*at == '.') {
        at++;
        precision = take_number(&at, arguments);
        if (precision < 0) precision = 0;
    }
    if (width < 0) width = 0;
    const enum length length = take_length(&at);
    const char kind = *at ? *at++ : '%';
    switch (kind) {
    case 'd':
    case 'i':
        snprintf(form, sizeof form, "%%%s*.*jd", flags);
        size = snprintf(out, sizeof out, form, width, precision, take_integer(length, arguments));
        break;
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        snprintf(form, sizeof form, "%%%s*.*j%c", flags, kind);
        size = snprintf(out, sizeof out, form, width, precision, take_unsigned(length, arguments));
        break;
    case 'f':
    case 'g':
    case 'e':
        snprintf(form, sizeof form, "%%%s*.*%c", flags, kind);
        size = snprintf(out, sizeof out, form, width, precision, va_arg(*arguments, double));
        break;
    case 'p': size = snprintf(out, sizeof out, "%p", va_arg(*arguments, void *)); break;
    case 'c': size = snprintf(out, sizeof out, "%c", va_arg(*arguments, int)); break;
    case 's': {
        const char *text = va_arg(*arguments, const char *);
        if (!text) {
            text = "";
            precision = 0;
        }
        const size_t text_size = precision < 0 ? strlen(text) : strnlen(text, (size_t)precision);
        const bool ends = *at == 0 || *at == ' ';
        if (is_value && ends)
            put_value(line, text, text_size);
        else
            put_escaped(line, text, text_size);
        return at;
    }
    default: put(line, "%", 1); return at;
    }
    if (size > 0) put(line, out, (size_t)size < sizeof out ? (size_t)size : sizeof out - 1);
    return at;
}

static void
put_formatted(struct line *line, const char *format, va_list *arguments)
{
    for (const char *at = format; *at;) {
        const size_t plain = strcspn(at, "%");
        put(line, at, plain);
        at += plain;
        if (*at) at = put_conversion(line, at + 1, at > format && at[-1] == '=', arguments);
    }
}

/* Nobody to tell when standard error is gone or its disk is full: payments go on (F103). */
static void
put_out(struct line *line)
{
    line->at[line->size++] = '\n';
    for (size_t done = 0; done < line->size;) {
        const ssize_t n = write(STDERR_FILENO, line->at + done, line->size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        done += (size_t)n;
    }
}

void
log_event(enum log_level level, const char *event, const char *format, ...)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    if (level < least_level) return;
    struct line line = {.size = 0};
    const int64_t now_ms = clock_wall_ms();
    const time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char head[160];
    gmtime_r(&seconds, &utc);
    size_t head_size = strftime(head, sizeof head, "%Y-%m-%dT%H:%M:%S", &utc);
    head_size += (size_t)snprintf(head + head_size, sizeof head - head_size, ".%03dZ %s %s ",
                                  (int)(now_ms % 1000), process, names[level]);
    put(&line, head, head_size);

    va_list arguments;
    va_start(arguments, format);
    put(&line, event, strlen(event));
    if (*format) put(&line, " ", 1);
    put_formatted(&line, format, &arguments);
    va_end(arguments);
    mask_cards(line.at + head_size, line.size - head_size);
    put_out(&line);
}

void
die(const char *format, ...)
{
    struct line line = {.size = 0};
    va_list arguments;
    va_start(arguments, format);
    put_formatted(&line, format, &arguments);
    va_end(arguments);
    mask_cards(line.at, line.size);
    fflush(NULL);
    put_out(&line);
    _exit(1); /* not exit: other threads are running, and nothing is left to be tidied */
}
