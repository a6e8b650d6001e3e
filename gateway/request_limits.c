#include "request_limits.h"

#include "clock.h"
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PLACES = 8192, /* a power of two */
    NEAR = 16,     /* places that one name may be at */
    NAME_BYTES = crypto_shorthash_siphashx24_BYTES,
    DRAWS_PER_S = 50, /* a full bucket is drawn from about that often */
    DRAW_MAX = 20,
    SHUT_MS_MAX = 100,     /* after a refusal Redis is not asked again for that long */
    STARVED_MS_MAX = 2000, /* one that refuses for so long without a break is not believed */
    CONCURRENCY_AGAIN_MS = 1000
};
#define MILLI 1000 /* our own buckets count thousandths of a token */

struct rate {
    int64_t per_s, burst; /* per_s 0: none */
};

/* What is known of one account, or of one key. */
struct limit_place {
    uint8_t name[NAME_BYTES];
    int64_t used_ms;           /* 0: free */
    unsigned inside;           /* requests under way */
    int64_t drawn;             /* tokens from Redis that are not spent yet */
    int64_t shut_ms;           /* Redis said: none before */
    int64_t starved_ms;        /* since when Redis has refused; 0: it gave some */
    int64_t own_milli, own_ms; /* our own bucket, for when Redis is away: filled when */
};

struct limits {
    struct mux *mux;
    struct rate account, key, page, pages;
    unsigned inside_max;
    uint8_t secret[crypto_shorthash_siphashx24_KEYBYTES]; /* so that nobody outside can aim at a
                                                             place */
    struct limit_place places[PLACES];
};

struct limits *
limits_new(const struct settings *settings, struct mux *mux)
{
    struct limits *limits = calloc(1, sizeof *limits);
    assert(limits);
    limits->mux = mux;
    limits->account = (struct rate){settings->account_rate, settings->account_burst};
    limits->key = (struct rate){settings->key_rate, settings->key_burst};
    limits->page = (struct rate){settings->page_rate, settings->page_burst};
    limits->pages = (struct rate){settings->pages_rate, settings->pages_burst};
    limits->inside_max = (unsigned)settings->account_concurrency;
    randombytes_buf(limits->secret, sizeof limits->secret);
    return limits;
}

void
limits_destroy(struct limits **limits_p)
{
    if (!*limits_p) return;
    free(*limits_p);
    *limits_p = NULL;
}

/* --- places ---------------------------------------------------------------------------------- */

static void
name_of(const struct limits *limits, struct text id, uint8_t name[static NAME_BYTES])
{
    crypto_shorthash_siphashx24(name, (const uint8_t *)id.at, id.size, limits->secret);
}

/* The place of that name, made if need be in the place that was idle for longest. NULL: all that
 * are near have requests under way. */
static struct limit_place *
place_of(struct limits *limits, const uint8_t name[static NAME_BYTES], int64_t now_ms)
{
    uint32_t first;
    struct limit_place *idle = NULL;
    memcpy(&first, name, sizeof first);
    for (uint32_t i = 0; i < NEAR; i++) {
        struct limit_place *place = &limits->places[(first + i) % PLACES];
        if (place->used_ms && memcmp(place->name, name, NAME_BYTES) == 0) {
            place->used_ms = now_ms;
            return place;
        }
        if (place->inside == 0 && (!idle || place->used_ms < idle->used_ms)) idle = place;
    }
    if (!idle) return NULL;
    *idle = (struct limit_place){.used_ms = now_ms, .own_ms = now_ms, .own_milli = INT64_MAX};
    memcpy(idle->name, name, NAME_BYTES);
    return idle;
}

/* --- rates ----------------------------------------------------------------------------------- */

/* From our own bucket. 0: a token was taken; else in how many milliseconds there is one. */
static int64_t
take_of_our_own(struct limit_place *place, struct rate rate, int64_t now_ms)
{
    const int64_t full = rate.burst * MILLI, passed_ms = now_ms - place->own_ms;
    place->own_ms = now_ms;
    /* rate a second is rate thousandths a millisecond */
    if (place->own_milli >= full || passed_ms >= full / rate.per_s + 1)
        place->own_milli = full;
    else if ((place->own_milli += passed_ms * rate.per_s) > full)
        place->own_milli = full;
    if (place->own_milli < MILLI) return (MILLI - place->own_milli + rate.per_s - 1) / rate.per_s;
    place->own_milli -= MILLI;
    return 0;
}

/* What Redis answered: how many tokens, or below zero in how many milliseconds, which is never
 * longer than one token takes. False: nonsense. */
static bool
read_draw(const struct mux_call *ask, const struct redis_draw *draw, int64_t *given)
{
    char words[24], *end;
    if (ask->answer_size == 0 || ask->answer_size >= sizeof words) return false;
    memcpy(words, ask->answer, ask->answer_size);
    words[ask->answer_size] = '\0';
    *given = strtoll(words, &end, 10);
    return *end == '\0' && *given != 0 && *given <= draw->want &&
           *given >= -(1000 / draw->rate + 1);
}

/* 0: go on. Else in how many milliseconds to come again. */
static int64_t
take(struct limits *limits, const char *kind, struct text id, struct rate rate, struct arena *arena)
{
    uint8_t name[NAME_BYTES], shared[NAME_BYTES];
    struct redis_draw draw = {.rate = rate.per_s, .burst = rate.burst};
    int64_t now_ms = clock_mono_ms(), given = 0, again_ms = 0;
    if (!rate.per_s) return 0;
    name_of(limits, id, name);

    struct limit_place *place = place_of(limits, name, now_ms);
    const bool spent = place && place->drawn > 0;
    if (spent) place->drawn--;
    if (place && !spent && place->shut_ms > now_ms) again_ms = place->shut_ms - now_ms;
    if (!place || spent || again_ms) return again_ms;

    /* The name in Redis is the same for all gateways, and tells nothing of the key. */
    draw.want = rate.per_s / DRAWS_PER_S < DRAW_MAX ? rate.per_s / DRAWS_PER_S + 1 : DRAW_MAX;
    if (draw.want > rate.burst) draw.want = rate.burst;
    crypto_generichash(shared, sizeof shared, (const uint8_t *)id.at, id.size,
                       (const uint8_t *)"florin:rate:bucket", 18);
    const int size = snprintf(draw.key, sizeof draw.key, "florin:%s:", kind);
    sodium_bin2hex(draw.key + size, sizeof draw.key - (size_t)size, shared, sizeof shared);
    struct mux_call ask = {.draw = &draw, .arena = arena, .deadline_ms = INT64_MAX};
    mux_ask(limits->mux, &ask);
    bool told = ask.outcome == MUX_REMEMBERED && read_draw(&ask, &draw, &given);

    now_ms = clock_mono_ms();
    /* found anew: others may have been given places meanwhile */
    if ((place = place_of(limits, name, now_ms))) {
        if (told && given > 0) place->starved_ms = 0;
        if (told && given < 0 && !place->starved_ms) place->starved_ms = now_ms;
        /* A bucket is filled all the time: somebody else may draw it empty now and then, but one
         * that never has any is no bucket. Ours counts then. */
        if (place->starved_ms && now_ms - place->starved_ms > STARVED_MS_MAX) told = false;
        if (!told)
            again_ms = take_of_our_own(place, rate, now_ms);
        else if (given > 0)
            place->drawn += given - 1;
        else
            place->shut_ms = now_ms + (-given < SHUT_MS_MAX ? -given : SHUT_MS_MAX);
    }
    return told && given < 0 ? -given : again_ms;
}

/* --- the whole ------------------------------------------------------------------------------- */

/* False: there are as many as may be. A place with requests inside is never given away, so it need
 * not be looked for again. */
static bool
one_more_inside(struct limits *limits, struct text account, struct limit_place **inside)
{
    uint8_t name[NAME_BYTES];
    *inside = NULL;
    if (!limits->inside_max) return true;
    name_of(limits, account, name);
    struct limit_place *place = place_of(limits, name, clock_mono_ms());
    if (!place) return true;
    if (place->inside >= limits->inside_max) return false;
    place->inside++;
    *inside = place;
    return true;
}

void
limits_leave(struct limit_place *inside)
{
    if (!inside) return;
    assert(inside->inside > 0);
    inside->inside--;
}

enum limit
limits_enter(struct limits *limits, struct text account, struct text key, struct arena *arena,
             struct limit_place **inside, int64_t *again_ms)
{
    *again_ms = CONCURRENCY_AGAIN_MS;
    if (!one_more_inside(limits, account, inside)) return LIMIT_ACCOUNT_CONCURRENCY;
    enum limit limit = LIMIT_ACCOUNT_RATE;
    *again_ms = take(limits, "account", account, limits->account, arena);
    if (!*again_ms) {
        limit = LIMIT_KEY_RATE;
        *again_ms = take(limits, "key", key, limits->key, arena);
    }
    if (!*again_ms) return LIMIT_NONE;
    limits_leave(*inside);
    *inside = NULL;
    return limit;
}

enum limit
limits_enter_page(struct limits *limits, struct text page, struct arena *arena, int64_t *again_ms)
{
    if ((*again_ms = take(limits, "page", page, limits->page, arena))) return LIMIT_PAGE_RATE;
    if ((*again_ms = take(limits, "pages", TEXT("all"), limits->pages, arena)))
        return LIMIT_PAGES_RATE;
    return LIMIT_NONE;
}
