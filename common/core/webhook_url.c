#include "webhook_url.h"

#include <strings.h>

static bool
begins_with(struct text url, const char *scheme)
{
    const size_t size = strlen(scheme);
    return url.size >= size && strncasecmp(url.at, scheme, size) == 0;
}

/* 1 to 65535, or nothing after the colon, which is the scheme's own port. */
static bool
is_port(struct text port)
{
    long number = 0;
    if (port.size > 5) return false;
    for (size_t i = 0; i < port.size; i++) {
        if (port.at[i] < '0' || port.at[i] > '9') return false;
        number = number * 10 + (port.at[i] - '0');
    }
    return port.size == 0 || (number >= 1 && number <= 65535);
}

/* Host and port of what stands between the slashes and the path. */
static enum webhook_url_verdict
check_authority(struct text authority)
{
    size_t host = 0;
    if (memchr(authority.at, '@', authority.size)) return WEBHOOK_URL_HAS_USER;
    if (authority.size && authority.at[0] == '[') { /* an IPv6 address has colons of its own */
        const char *end = memchr(authority.at, ']', authority.size);
        if (!end || end == authority.at + 1) return WEBHOOK_URL_NO_HOST;
        host = (size_t)(end - authority.at) + 1;
    } else {
        while (host < authority.size && authority.at[host] != ':')
            host++;
    }
    if (host == 0) return WEBHOOK_URL_NO_HOST;
    if (host == authority.size) return WEBHOOK_URL_OK;
    if (authority.at[host] != ':') return WEBHOOK_URL_NO_HOST;
    const struct text port = {authority.at + host + 1, authority.size - host - 1};
    return is_port(port) ? WEBHOOK_URL_OK : WEBHOOK_URL_BAD_PORT;
}

enum webhook_url_verdict
webhook_url_check(struct text url, bool livemode)
{
    const bool secure = begins_with(url, "https://");
    if (url.size > WEBHOOK_URL_MAX) return WEBHOOK_URL_TOO_LONG;
    for (size_t i = 0; i < url.size; i++)
        if (url.at[i] <= ' ' || url.at[i] > '~' || url.at[i] == '\\')
            return WEBHOOK_URL_BAD_CHARACTER;
    if (!secure && !begins_with(url, "http://")) return WEBHOOK_URL_NOT_HTTP;
    if (!secure && livemode) return WEBHOOK_URL_NOT_SECURE;

    const size_t from = secure ? 8 : 7;
    struct text authority = {url.at + from, 0};
    while (from + authority.size < url.size && !strchr("/?#", authority.at[authority.size]))
        authority.size++;
    const enum webhook_url_verdict verdict = check_authority(authority);
    if (verdict == WEBHOOK_URL_HAS_USER) return verdict;
    if (memchr(url.at, '#', url.size)) return WEBHOOK_URL_HAS_FRAGMENT;
    return verdict;
}

const char *
webhook_url_complaint(enum webhook_url_verdict verdict)
{
    switch (verdict) {
    case WEBHOOK_URL_TOO_LONG: return "it is longer than 2000 characters";
    case WEBHOOK_URL_BAD_CHARACTER: return "it has a character that must be escaped in a URL";
    case WEBHOOK_URL_NOT_HTTP: return "it must begin with http:// or https://";
    case WEBHOOK_URL_NOT_SECURE: return "in live mode it must begin with https://";
    case WEBHOOK_URL_HAS_USER: return "it must not hold a user name or a password";
    case WEBHOOK_URL_HAS_FRAGMENT: return "it must not have a fragment";
    case WEBHOOK_URL_NO_HOST: return "it has no host";
    case WEBHOOK_URL_BAD_PORT: return "its port is not a number from 1 to 65535";
    case WEBHOOK_URL_OK: break;
    }
    return NULL;
}
