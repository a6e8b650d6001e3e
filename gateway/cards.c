#include "cards.h"

#include "message.h"
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { SETS = 2048, WAYS = 4, PLACES = SETS * WAYS, REMEMBERED_MS = 3600 * 1000 };

/* --- finding
 * --------------------------------------------------------------------------------------- */

/* A route takes cards under this hash when the number in it is one of its parameters. */
static bool
takes_card(const struct route *route, const char *prefix)
{
    char number[64];
    snprintf(number, sizeof number, "%s[number]", prefix);
    for (size_t i = 0; i < route->rule_count; i++)
        if (strcmp(route->rules[i].name, number) == 0) return true;
    return false;
}

static struct card_wish
refused(enum refusal refusal, const char *about, const char *param)
{
    return (struct card_wish){
        .need = CARD_REFUSED, .refusal = refusal, .about = about, .param = text_of(param)};
}

struct card_names {
    const char *number, *exp_month, *exp_year, *cvc, *token, *both;
};
#define NAMES(prefix)                                                                 \
    {                                                                                 \
        prefix "[number]", prefix "[exp_month]", prefix "[exp_year]", prefix "[cvc]", \
            prefix "[token]", prefix "[number], " prefix "[token]"                    \
    }
static const struct card_names own = NAMES("card"), inner = NAMES("payment_method_data[card]");
#undef NAMES

/* What stands in one card hash. */
static struct card_wish
find_in(struct params params, const char *prefix, const struct card_names *names)
{
    const struct text token = params_find(params, names->token);
    struct card_wish wish = {.need = CARD_TYPED, .prefix = prefix};
    wish.number = params_find(params, names->number);
    wish.cvc = params_find(params, names->cvc);
    if (token.at && wish.number.at) return refused(REFUSAL_EXCLUSIVE, names->both, names->token);
    if (token.at)
        return (struct card_wish){
            .need = CARD_NAMED, .prefix = prefix, .name = token, .param = text_of(names->token)};
    if (!wish.number.at) return refused(REFUSAL_MISSING, names->number, names->number);
    if (!params_have(params, names->exp_month))
        return refused(REFUSAL_MISSING, names->exp_month, names->exp_month);
    if (!params_have(params, names->exp_year))
        return refused(REFUSAL_MISSING, names->exp_year, names->exp_year);
    wish.exp_month = params_integer(params, names->exp_month, 0);
    wish.exp_year = params_integer(params, names->exp_year, 0);
    return wish;
}

static bool
is_test_name(struct text text)
{
    return text_starts(text, "pm_card_") || text_starts(text, "tok_");
}

static bool
names_card_in_path(const struct route *route)
{
    return route->number == ROUTE_payment_method_attach ||
           route->number == ROUTE_payment_method_retrieve || route->number == ROUTE_token_retrieve;
}

struct card_wish
cards_find(const struct route *route, struct text object, struct params params)
{
    const struct text method = params_find(params, "payment_method");
    const struct text source = route->method == HTTP_POST ? params_find(params, "source") : NO_TEXT;
    const bool data = params_have_any(params, "payment_method_data");

    if (names_card_in_path(route) && is_test_name(object))
        return (struct card_wish){
            .need = CARD_NAMED, .name = object, .param = TEXT("payment_method")};
    if (method.size && data)
        return refused(REFUSAL_EXCLUSIVE, "payment_method, payment_method_data", "payment_method");
    if (is_test_name(method) && text_starts(source, "tok_"))
        return refused(REFUSAL_EXCLUSIVE, "payment_method, source", "source");
    if (text_starts(source, "tok_"))
        return (struct card_wish){.need = CARD_NAMED, .name = source, .param = TEXT("source")};
    if (is_test_name(method))
        return (struct card_wish){
            .need = CARD_NAMED, .name = method, .param = TEXT("payment_method")};
    if (data && takes_card(route, "payment_method_data[card]")) {
        if (!params_have_any(params, "payment_method_data[card]"))
            return refused(REFUSAL_MISSING, "payment_method_data[card]",
                           "payment_method_data[card]");
        return find_in(params, "payment_method_data[card]", &inner);
    }
    if (takes_card(route, "card")) {
        /* A token can be made of a card that its customer has already. */
        const bool typed = params_have_any(params, "card") && !params_have(params, "card");
        if (!typed && (params_have(params, "card") || params_have(params, "customer")))
            return (struct card_wish){.need = CARD_NONE};
        if (!typed) return refused(REFUSAL_MISSING, "card", "card");
        return find_in(params, "card", &own);
    }
    return (struct card_wish){.need = CARD_NONE};
}

/* --- sealing
 * --------------------------------------------------------------------------------------- */

bool
cards_seal(const struct card_wish *wish, const uint8_t vault_key[static 32],
           uint8_t sealed[static CARD_SEALED_MAX], size_t *size)
{
    uint8_t plain[CARD_SEALED_MAX - crypto_box_SEALBYTES];
    struct msg_card_fields fields = {.has = HAS_card_fields_number | HAS_card_fields_exp_month |
                                            HAS_card_fields_exp_year,
                                     .number = wish->number,
                                     .exp_month = wish->exp_month,
                                     .exp_year = wish->exp_year,
                                     .cvc = wish->cvc};
    size_t packed;
    if (wish->cvc.at) fields.has |= HAS_card_fields_cvc;
    const bool good =
        message_encode(MSG_card_fields, &fields, plain, sizeof plain, &packed) == MESSAGE_OK &&
        crypto_box_seal(sealed, plain, packed, vault_key) == 0;
    sodium_memzero(plain, sizeof plain);
    *size = good ? packed + crypto_box_SEALBYTES : 0;
    return good;
}

/* --- redacting
 * ------------------------------------------------------------------------------------- */

static bool
is_secret(struct text name, const char *prefix)
{
    static const char *const secrets[] = {"[number]", "[exp_month]", "[exp_year]", "[cvc]"};
    if (!text_starts(name, prefix)) return false;
    const size_t size = strlen(prefix);
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
        if (text_is((struct text){name.at + size, name.size - size}, secrets[i])) return true;
    return false;
}

struct params
cards_without(struct params params, const char *name, struct arena *arena)
{
    uint8_t *block = arena_take(arena, params.size);
    bool fits = true;
    size_t size = 0;
    struct param p;
    for (size_t at = 0; params_next(params, &at, &p);)
        if (!text_is(p.name, name)) fits &= params_put(block, params.size, &size, p.name, p.value);
    assert(fits);
    return (struct params){block, size};
}

struct params
cards_redact(struct params params, const char *prefix, struct arena *arena)
{
    uint8_t *block = arena_take(arena, params.size);
    bool fits = true;
    size_t size = 0;
    struct param p;
    for (size_t at = 0; params_next(params, &at, &p);)
        if (!is_secret(p.name, prefix))
            fits &= params_put(block, params.size, &size, p.name, p.value);
    assert(fits);
    sodium_memzero((uint8_t *)(uintptr_t)params.at, params.size);
    const struct params redacted = {block, size};
    assert(params_valid(redacted));
    return redacted;
}

/* --- remembering
 * ------------------------------------------------------------------------------------ */

struct place {
    char merchant[64], name[128], packed[CARD_PACKED_MAX];
    size_t size; /* 0: empty */
    int64_t until_ms;
};

struct card_memory {
    struct place places[PLACES];
};

struct card_memory *
card_memory_new(void)
{
    struct card_memory *memory = calloc(1, sizeof *memory);
    assert(memory);
    return memory;
}

void
card_memory_destroy(struct card_memory **memory_p)
{
    if (!*memory_p) return;
    free(*memory_p);
    *memory_p = NULL;
}

static bool
is_of(const struct place *place, struct text merchant, struct text name)
{
    return place->size && text_is(merchant, place->merchant) && text_is(name, place->name);
}

/* Where the name is, or where it would go: at the place of its set that is over first. */
static struct place *
place_of(struct card_memory *memory, struct text merchant, struct text name)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < merchant.size; i++)
        hash = (hash ^ (uint8_t)merchant.at[i]) * 16777619u;
    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ (uint8_t)name.at[i]) * 16777619u;
    struct place *set = &memory->places[hash % SETS * WAYS], *first = set;
    for (struct place *place = set; place < set + WAYS; place++) {
        if (is_of(place, merchant, name)) return place;
        if (place->until_ms < first->until_ms) first = place;
    }
    return first;
}

struct text
card_recall(struct card_memory *memory, struct text merchant, struct text name, int64_t mono_ms,
            struct arena *arena)
{
    struct text packed = NO_TEXT;
    const struct place *place = place_of(memory, merchant, name);
    if (place->until_ms > mono_ms && is_of(place, merchant, name))
        packed = arena_copy(arena, (struct text){place->packed, place->size});
    return packed;
}

void
card_remember(struct card_memory *memory, struct text merchant, struct text name,
              struct text packed, int64_t mono_ms)
{
    struct place *place = NULL;
    if (merchant.size >= sizeof place->merchant || name.size >= sizeof place->name ||
        packed.size > sizeof place->packed)
        return;
    place = place_of(memory, merchant, name);
    snprintf(place->merchant, sizeof place->merchant, "%.*s", (int)merchant.size, merchant.at);
    snprintf(place->name, sizeof place->name, "%.*s", (int)name.size, name.at);
    memcpy(place->packed, packed.at, packed.size);
    place->size = packed.size;
    place->until_ms = mono_ms + REMEMBERED_MS;
}
