#include "gateway.h"

#include "files.h"
#include "json_reader.h"
#include "settings.h"
#include <curl/curl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define ASK_MS 3000

void
gateway_url(const char *home, char *out, size_t cap)
{
    char path[PATH_MAX + 32], text[32768], memory[128];
    struct settings settings;
    snprintf(path, sizeof path, "%s/run/status.json", home);
    const ssize_t size = file_read(path, text, sizeof text);
    const struct text whole = {text, size > 0 ? (size_t)size : 0};
    /* What runs may have been started with another FLORIN_PORT than we have. */
    const struct text url = json_unquote(json_find(whole, "url"), memory, sizeof memory);
    if (url.at) {
        snprintf(out, cap, "%.*s", (int)url.size, url.at);
        return;
    }
    settings_load(home, &settings);
    snprintf(out, cap, "http://%s:%d", settings.listen, (int)settings.port);
}

static size_t
take(char *bytes, size_t one, size_t size, void *state)
{
    struct gateway_words *words = state;
    for (size_t i = 0; i < size && words->size < sizeof words->text - 1; i++)
        if (bytes[i] >= ' ') words->text[words->size++] = bytes[i];
    words->text[words->size] = 0;
    return one * size;
}

bool
gateway_serves(const char *home, struct gateway_words *words)
{
    char url[160];
    long status = 0;
    gateway_url(home, url, sizeof url);
    snprintf(url + strlen(url), sizeof url - strlen(url), "/health");
    *words = (struct gateway_words){.size = 0};
    CURL *curl = curl_easy_init();
    if (!curl) return false;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ASK_MS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, words);
    const CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK) snprintf(words->text, sizeof words->text, "%s", curl_easy_strerror(code));
    return code == CURLE_OK && status == 200;
}
