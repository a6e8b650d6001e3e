#include "target.h"

#include "address.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

static bool
has_part(CURLU *parts, CURLUPart part)
{
    char *text = NULL;
    const bool has = curl_url_get(parts, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

static bool
is_http(CURLU *parts)
{
    char *scheme = NULL;
    if (curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK) return false;
    const bool is = strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0;
    curl_free(scheme);
    return is;
}

static bool
read_host(CURLU *parts, struct target *target)
{
    char *host = NULL;
    if (curl_url_get(parts, CURLUPART_HOST, &host, CURLU_PUNYCODE) != CURLUE_OK) return false;
    size_t size = strlen(host);
    const char *at = host;
    target->literal_ipv6 = size > 2 && host[0] == '[' && host[size - 1] == ']';
    if (target->literal_ipv6) {
        at++;
        size -= 2;
    }
    const bool fits = size > 0 && size <= TARGET_HOST_MAX;
    if (fits) {
        memcpy(target->host, at, size);
        target->host[size] = '\0';
    }
    curl_free(host);
    return fits;
}

static const char *
read_parts(CURLU *parts, const char *url, struct target *target)
{
    if (curl_url_set(parts, CURLUPART_URL, url, 0) != CURLUE_OK) return "the URL cannot be read";
    if (!is_http(parts)) return "the URL is neither http nor https";
    if (has_part(parts, CURLUPART_USER) || has_part(parts, CURLUPART_PASSWORD))
        return "the URL holds a user name or password";
    if (has_part(parts, CURLUPART_ZONEID)) return "the URL names a network interface";
    if (!read_host(parts, target)) return "the URL's host cannot be read";

    char *port = NULL;
    if (curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return "the URL's port cannot be read";
    target->port = (uint16_t)strtoul(port, NULL, 10);
    curl_free(port);
    if (port_refused(target->port)) return "the URL's port is not for HTTP";
    return NULL;
}

const char *
target_read(const char *url, struct target *target)
{
    memset(target, 0, sizeof *target);
    CURLU *parts = curl_url();
    if (!parts) return "out of memory";
    const char *refused = read_parts(parts, url, target);
    curl_url_cleanup(parts);
    return refused;
}
