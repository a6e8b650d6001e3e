#include "return_url.h"

#include <strings.h>

/* These show or run what stands in the URL itself, or lead into the payer's own machine. */
static const char *const refused_schemes[] = {"javascript", "data",  "vbscript",   "file",
                                              "blob",       "about", "view-source"};

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Of the scheme without its colon; 0 when there is none. */
static size_t
scheme_size(struct text url)
{
    size_t i = 0;
    if (!url.size || !is_letter(url.at[0])) return 0;
    while (i < url.size && (is_letter(url.at[i]) || (url.at[i] >= '0' && url.at[i] <= '9') ||
                            memchr("+-.", url.at[i], 3)))
        i++;
    return i + 3 < url.size && memcmp(url.at + i, "://", 3) == 0 ? i : 0;
}

static bool
is_web(struct text url, size_t scheme)
{
    return (scheme == 4 && strncasecmp(url.at, "http", 4) == 0) ||
           (scheme == 5 && strncasecmp(url.at, "https", 5) == 0);
}

/* Letters that a host and a port are made of, brackets for IPv6 among them. */
static size_t
authority_size(struct text url, size_t from)
{
    size_t i = from;
    while (i < url.size && (is_letter(url.at[i]) || (url.at[i] >= '0' && url.at[i] <= '9') ||
                            memchr("-._:[]", url.at[i], 6)))
        i++;
    return i - from;
}

bool
return_url_is_good(struct text url)
{
    if (!url.at) return false;
    for (size_t i = 0; i < url.size; i++)
        if (url.at[i] <= 0x20 || url.at[i] >= 0x7f || memchr("\"<>\\^`{|}", url.at[i], 9))
            return false;
    const size_t scheme = scheme_size(url);
    if (!scheme) return false;
    for (size_t i = 0; i < sizeof refused_schemes / sizeof refused_schemes[0]; i++)
        if (strlen(refused_schemes[i]) == scheme &&
            strncasecmp(url.at, refused_schemes[i], scheme) == 0)
            return false;
    if (!is_web(url, scheme)) return true;
    const size_t size = authority_size(url, scheme + 3), end = scheme + 3 + size;
    return size > 0 && (end == url.size || memchr("/?#", url.at[end], 3));
}

struct text
return_url_with(struct text url, struct text query, char *out)
{
    const char *fragment = memchr(url.at, '#', url.size);
    const size_t front = fragment ? (size_t)(fragment - url.at) : url.size;
    const bool more = memchr(url.at, '?', front) != NULL;
    size_t size = 0;
    memcpy(out, url.at, front);
    size += front;
    if (!more)
        out[size++] = '?';
    else if (out[size - 1] != '?' && out[size - 1] != '&')
        out[size++] = '&';
    memcpy(out + size, query.at, query.size);
    size += query.size;
    if (fragment) memcpy(out + size, fragment, url.size - front);
    return (struct text){out, size + url.size - front};
}

struct text
return_url_origin(struct text url)
{
    if (!return_url_is_good(url)) return NO_TEXT;
    const size_t scheme = scheme_size(url);
    if (!is_web(url, scheme)) return (struct text){url.at, scheme + 1};
    return (struct text){url.at, scheme + 3 + authority_size(url, scheme + 3)};
}
