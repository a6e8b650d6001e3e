#include "form.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>

static uint8_t block[1 << 20];
static char culprit[129];
static struct params params;

static enum form_verdict
parse(const char *form)
{
    return form_parse(form, strlen(form), block, sizeof block, &params, culprit);
}

/* The block as text: name=value, a line each. */
static const char *
shown(const char *form)
{
    static char out[4096];
    struct param p;
    size_t size = 0;
    out[0] = '\0';
    if (parse(form) != FORM_OK) return "refused";
    for (size_t at = 0; params_next(params, &at, &p);)
        size += (size_t)snprintf(out + size, sizeof out - size, "%.*s=%.*s;", (int)p.name.size,
                                 p.name.at, (int)p.value.size, p.value.at);
    return out;
}

static const struct {
    const char *form, *params;
} equal[] = {
    {"", ""},
    {"a=1", "a=1;"},
    {"b=2&a=1", "a=1;b=2;"},
    {"a", "a=;"},
    {"a=", "a=;"},
    {"&&a=1&", "a=1;"},
    {"a=b=c", "a=b=c;"},
    {"a=1+2%2B3", "a=1 2+3;"},
    {"card%5Bnumber%5D=42", "card[number]=42;"},
    {"a[]=1&a[]=2", "a[0]=1;a[1]=2;"},
    {"a[0]=1&a[1]=2", "a[0]=1;a[1]=2;"},
    {"a[1]=2&a[0]=1", "a[0]=1;a[1]=2;"},
    {"a[7]=2&a[3]=1", "a[0]=1;a[1]=2;"}, /* H103: holes */
    {"a[999999999]=1", "a[0]=1;"},
    {"a[2147483648]=1", "a[2147483648]=1;"}, /* H103: too long to be an index */
    {"a[-1]=1", "a[-1]=1;"},
    {"a[]=2&a[0]=1", "a[0]=1;a[1]=2;"},
    {"i[0][p]=x&i[0][q]=1&i[1][p]=y", "i[0][p]=x;i[0][q]=1;i[1][p]=y;"},
    {"i[][p]=x&i[][q]=1&i[][p]=y", "i[0][p]=x;i[0][q]=1;i[1][p]=y;"},
    {"i[5][t][]=1&i[5][t][]=2&i[9][t][4]=3", "i[0][t][0]=1;i[0][t][1]=2;i[1][t][0]=3;"},
    {"metadata[7]=x&metadata[3]=y", "metadata[3]=y;metadata[7]=x;"}, /* keys, not numbers */
    {"metadata[7]=x&metadata[a]=y", "metadata[7]=x;metadata[a]=y;"},
    {"metadata=", "metadata=;"},
    {"__proto__[x]=1&constructor=2", "__proto__[x]=1;constructor=2;"}, /* H110 */
    {"n=%E2%82%AC", "n=€;"},
    {"a[b]=1&a1=2&a=", "refused"},
};

Test(form, the_same_request_makes_the_same_block)
{
    for (size_t i = 0; i < sizeof equal / sizeof equal[0]; i++)
        cr_expect(eq(str, (char *)shown(equal[i].form), (char *)equal[i].params), "%s",
                  equal[i].form);
}

static const struct {
    const char *form, *culprit;
    enum form_verdict verdict;
} refused[] = {
    {"a=%", "a", FORM_BAD_ESCAPE},
    {"a=%4", "a", FORM_BAD_ESCAPE},
    {"a=%4g", "a", FORM_BAD_ESCAPE},
    {"%zz=1", "%zz", FORM_BAD_ESCAPE},
    {"a=%ff", "a", FORM_BAD_TEXT},          /* H98 */
    {"a=%c0%af", "a", FORM_BAD_TEXT},       /* H99: overlong */
    {"a=%ed%a0%80", "a", FORM_BAD_TEXT},    /* H99: surrogate */
    {"a=%f4%90%80%80", "a", FORM_BAD_TEXT}, /* above U+10FFFF */
    {"a=%e2%82", "a", FORM_BAD_TEXT},
    {"a=1%00", "a", FORM_BAD_TEXT}, /* H100 */
    {"a%00=1", "", FORM_BAD_TEXT},
    {"a=1&a=1", "a", FORM_GIVEN_TWICE}, /* H101 */
    {"a=1&%61=2", "a", FORM_GIVEN_TWICE},
    {"a[1]=1&a[01]=2", "a[01]", FORM_GIVEN_TWICE},
    {"a=1&a[b]=2", "a[b]", FORM_SCALAR_AND_HASH}, /* H102 */
    {"a[b]=2&a=1", "a[b]", FORM_SCALAR_AND_HASH},
    {"a[0]=2&a[b]=1", "a[b]", FORM_SCALAR_AND_HASH},
    {"a[b]=2&a[b][c]=1", "a[b][c]", FORM_SCALAR_AND_HASH},
    {"a[=1", "a[", FORM_BAD_NAME}, /* H108 */
    {"a]=1", "a]", FORM_BAD_NAME},
    {"a[b=1", "a[b", FORM_BAD_NAME},
    {"a[b]c=1", "a[b]c", FORM_BAD_NAME},
    {"a[[b]]=1", "a[[b]]", FORM_BAD_NAME},
    {"[a]=1", "[a]", FORM_BAD_NAME},
    {"metadata[]=1", "metadata[]", FORM_BAD_NAME},
    {"=1", "", FORM_BAD_NAME}, /* H109 */
    {"a[b][c][d][e][f][g][h][i][j][k]=1", "a[b][c][d][e][f][g][h][i][j][k]", FORM_TOO_DEEP},
};

Test(form, what_has_two_meanings_is_refused_by_name)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        cr_expect(eq(int, parse(refused[i].form), refused[i].verdict), "%s", refused[i].form);
        if (refused[i].verdict != FORM_GIVEN_TWICE || !strchr(refused[i].form, '['))
            cr_expect(eq(str, culprit, (char *)refused[i].culprit), "%s", refused[i].form);
    }
}

Test(form, limits_are_reached_and_hold)
{
    char *big = malloc(1200000);
    size_t size = 0;
    for (int i = 0; i < 1000; i++) /* H105 */
        size += (size_t)sprintf(big + size, "k%d=1&", i);
    cr_expect(eq(int, parse(big), FORM_OK));
    strcat(big, "one_more=1");
    cr_expect(eq(int, parse(big), FORM_TOO_MANY));

    memset(big, 'k', 512);
    strcpy(big + 512, "=1");
    cr_expect(eq(int, parse(big), FORM_OK));
    memset(big, 'k', 513);
    strcpy(big + 513, "=1");
    cr_expect(eq(int, parse(big), FORM_TOO_LONG)); /* H107 */

    memset(big, 'v', 1100000); /* H106 */
    memcpy(big, "a=", 2);
    big[1100000] = '\0';
    cr_expect(eq(int, parse(big), FORM_TOO_LONG));
    free(big);
}

Test(form, a_block_of_the_size_that_is_told_is_large_enough)
{
    static const char *const forms[] = {
        "", "a", "a=1&b[]=2&b[]=3", "&&&", "a[][][][][][][][][]=", "a=%41&b[c][d]=+"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const size_t size = strlen(forms[i]), cap = form_block_size(forms[i], size);
        uint8_t *own = malloc(cap);
        cr_expect(eq(int, form_parse(forms[i], size, own, cap, &params, culprit), FORM_OK), "%s",
                  forms[i]);
        free(own);
    }
    char many[8000];
    size_t size = 0;
    for (int i = 0; i < 1000; i++)
        size += (size_t)sprintf(many + size, "a[]&");
    const size_t cap = form_block_size(many, size);
    uint8_t *own = malloc(cap);
    cr_expect(eq(int, form_parse(many, size, own, cap, &params, culprit), FORM_OK));
    free(own);
}

Test(form, no_bytes_break_it)
{
    static const char alphabet[] = "ab[]=&%+0129\xc3\xa9\x01";
    char text[64];
    srand(7);
    for (int i = 0; i < 200000; i++) {
        const size_t size = (size_t)(rand() % 40);
        for (size_t k = 0; k < size; k++)
            text[k] = alphabet[(size_t)rand() % (sizeof alphabet)];
        uint8_t *small = malloc(256);
        if (form_parse(text, size, small, (size_t)(rand() % 257), &params, culprit) == FORM_OK)
            cr_assert(params_valid(params));
        free(small);
    }
}
