#include "log.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Standard error, caught in a file. */
static FILE *caught;
static int saved = -1;

static void
catch_errors(void)
{
    caught = tmpfile();
    saved = dup(STDERR_FILENO);
    dup2(fileno(caught), STDERR_FILENO);
    log_start("ledger-1", LOG_INFO);
}

static void
let_go(void)
{
    dup2(saved, STDERR_FILENO);
    close(saved);
    fclose(caught);
}

/* What was written since the last call, without the time in front. */
static const char *
written(void)
{
    static char text[16384];
    static long from;
    fseek(caught, from, SEEK_SET);
    const size_t size = fread(text, 1, sizeof text - 1, caught);
    from += (long)size;
    text[size] = 0;
    return size > 25 ? text + 25 : text;
}

TestSuite(log, .init = catch_errors, .fini = let_go);

Test(log, a_line_has_time_process_level_event_and_keys)
{
    log_event(LOG_INFO, "batch.committed", "commands=%d ms=%lld", 12, 3LL);
    char whole[256];
    rewind(caught);
    cr_assert_not_null(fgets(whole, sizeof whole, caught));
    int year, day, ms;
    char rest[256];
    cr_assert_eq(
        sscanf(whole, "%4d-%*2d-%2dT%*2d:%*2d:%*2d.%3dZ %255[^\n]", &year, &day, &ms, rest), 4);
    cr_assert_str_eq(rest, "ledger-1 info batch.committed commands=12 ms=3");
}

Test(log, what_is_below_the_level_is_not_said)
{
    log_event(LOG_DEBUG, "nothing.said", "a=1");
    cr_assert_str_eq(written(), "");
    log_event(LOG_ERROR, "something.said", "%s", "");
    cr_assert_str_eq(written(), "ledger-1 error something.said \n");
}

Test(log, every_conversion_that_we_use_comes_out_as_printf_has_it)
{
    log_event(LOG_INFO, "a.b",
              "d=%d u=%u ld=%ld llu=%llu zu=%zu jd=%jd x=%04x X=%X c=%c min=%lld wide=%5d "
              "prec=%.3s star=%.*s percent=%%",
              -5, 5u, -6L, 7ULL, (size_t)8, (intmax_t)9, 0xabu, 0xCDu, 'q', (long long)INT64_MIN,
              42, "abcdef", 2, "xyz");
    cr_assert_str_eq(written(), "ledger-1 info a.b d=-5 u=5 ld=-6 llu=7 zu=8 jd=9 x=00ab X=CD c=q "
                                "min=-9223372036854775808 wide=   42 prec=abc star=xy percent=%\n");
}

Test(log, values_are_quoted_when_they_need_it)
{
    const char *volatile none = NULL;
    log_event(LOG_INFO, "a.b", "plain=%s spaces=%s quote=%s empty=%s null=%s", "x", "a b",
              "say \"x\"", "", none);
    cr_assert_str_eq(written(), "ledger-1 info a.b plain=x spaces=\"a b\" quote=\"say \\\"x\\\"\" "
                                "empty=\"\" null=\"\"\n");
}

Test(log, nobody_can_forge_a_line)
{
    log_event(LOG_INFO, "a.b", "description=%s",
              "x\n2026-11-22T21:17:00.123Z ledger-1 info books.balanced\x1b[31m");
    const char *line = written();
    cr_assert_eq(strchr(line, '\n'), line + strlen(line) - 1);
    cr_assert_null(strchr(line, '\x1b'));
}

Test(log, what_is_too_long_is_cut)
{
    char longer[9000];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    log_event(LOG_INFO, "a.b", "v=%s", longer);
    const char *line = written();
    cr_assert_eq(strlen(line) + 25, 4096);
    cr_assert_eq(line[strlen(line) - 1], '\n');
}

struct mask {
    const char *said, *shown;
};

// clang-format off
static const struct mask masks[] = {
    /* card numbers */
    {"4242424242424242",        "************4242"},
    {"5555555555554444",        "************4444"},
    {"378282246310005",         "***********0005"},
    {"6011000990139424",        "************9424"},
    {"4000000000000000006",     "***************0006"},
    {"4242 4242 4242 4242",     "\"**** **** **** 4242\""},
    {"4242-4242-4242-4242",     "****-****-****-4242"},
    {"number:4242424242424242", "number:************4242"},
    {"x4242424242424242y",      "x************4242y"},
    /* the shortest and the longest that can be one */
    {"000000000000",            "********0000"},
    {"00000000000",             "00000000000"},
    {"0000000000000000000",     "***************0000"},
    {"00000000000000000000",    "00000000000000000000"},
    /* not one: the check digit is wrong */
    {"4242424242424241",        "4242424242424241"},
    {"2000",                    "2000"},
    {"pi_00Gq3x0012345678901234567890", "pi_00Gq3x0012345678901234567890"},
};
// clang-format on

Test(log, card_numbers_are_masked_whatever_their_key)
{
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        char expected[256];
        snprintf(expected, sizeof expected, "ledger-1 info a.b v=%s\n", masks[i].shown);
        log_event(LOG_INFO, "a.b", "v=%s", masks[i].said);
        cr_assert_str_eq(written(), expected);
    }
    log_event(LOG_INFO, "a.b", "v=%llu", 4242424242424242ULL);
    cr_assert_str_eq(written(), "ledger-1 info a.b v=************4242\n");
}

Test(log, who_dies_says_one_sentence, .exit_code = 1)
{
    die("The port %d is in use.", 8420);
}
