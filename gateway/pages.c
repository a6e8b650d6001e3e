#include "pages.h"

#include "answer.h"

/* The page runs our script and style and nothing else, talks to us alone, and stands in nobody's
 * frame; what its address says goes to nobody (F88). */
#define PAGE_HEADERS                                                                     \
    "Cache-Control: no-store\r\n"                                                        \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; " \
    "connect-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; "          \
    "frame-ancestors 'none'\r\n"                                                         \
    "Cross-Origin-Opener-Policy: same-origin\r\n"                                        \
    "Permissions-Policy: camera=(), geolocation=(), microphone=()\r\n"                   \
    "Referrer-Policy: no-referrer\r\n"                                                   \
    "X-Content-Type-Options: nosniff\r\n"                                                \
    "X-Frame-Options: DENY\r\n"
#define ASSET_HEADERS                               \
    "Cache-Control: no-cache\r\n"                   \
    "Cross-Origin-Resource-Policy: same-origin\r\n" \
    "X-Content-Type-Options: nosniff\r\n"
/* For pages of other origins, also with integrity="…", which wants CORS. */
#define SCRIPT_HEADERS                               \
    "Access-Control-Allow-Origin: *\r\n"             \
    "Cache-Control: public, max-age=300\r\n"         \
    "Cross-Origin-Resource-Policy: cross-origin\r\n" \
    "X-Content-Type-Options: nosniff\r\n"

/* The files themselves, taken in by the assembler: -I gateway/pages says where they are. */
#define PAGE(name, path, file, type, headers)         \
    __asm__(".pushsection .rodata\n"                  \
            "page_" #name ":\n"                       \
            ".incbin \"" PAGES_FOLDER "/" file "\"\n" \
            "page_" #name "_end:\n"                   \
            ".popsection\n");                         \
    extern const char page_##name[], page_##name##_end[];
#include "pages.def"
#undef PAGE

static const struct {
    const char *path, *type, *headers, *at, *end;
} pages[] = {
#define PAGE(name, path, file, type, headers) {path, type, headers, page_##name, page_##name##_end},
#include "pages.def"
#undef PAGE
};

static bool
path_fits(const char *path, struct text asked)
{
    const size_t size = strlen(path);
    if (path[size - 1] != '/') return text_is(asked, path);
    return asked.size > size && text_starts(asked, path) &&
           !memchr(asked.at + size, '/', asked.size - size);
}

bool
pages_serve(struct http_exchange *exchange)
{
    if (!text_is(exchange->head.method, "GET")) return false;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (!path_fits(pages[i].path, exchange->head.path)) continue;
        answer_write_bytes(exchange, 200, pages[i].type, pages[i].headers,
                           (struct text){pages[i].at, (size_t)(pages[i].end - pages[i].at)});
        return true;
    }
    return false;
}
