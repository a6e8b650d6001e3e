/* florin-ctl: what people ask of a running Florin. `./florin` calls it. */
#include "ctl.h"
#include "log.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_AUDIT
#include "audit.h"

static int
ctl_audit(const struct ctl *ctl)
{
    const char *wait = option_value(ctl, "--wait");
    return audit_run(ctl->home, option_given(ctl, "--json"),
                     wait ? strtoll(wait, NULL, 10) * 1000 : 0, stdout);
}
#endif

static const struct {
    const char *name;
    int (*run)(const struct ctl *ctl);
    const char *options, *help;
} commands[] = {
    {"status", ctl_status, "[--json]",
     "What runs, and how it is.\nExample: florin-ctl status --home var --json"},
    {"env", ctl_env, "",
     "Shell assignments for the first merchant.\nExample: eval \"$(florin-ctl env --home var)\""},
    {"tap", ctl_tap, "[--json] [--count N]",
     "Events as they are committed, a line each.\nExample: florin-ctl tap --home var --count 1"},
    {"call", ctl_call, "[--json] [--as NAME] [--to NAME] [--timeout MS] MESSAGE field=value…",
     "Sends a message of common/proto/messages.def and prints its answer.\n"
     "Values: text or a number; for bytes also hex:00ff, form:amount=2000&currency=usd, @file;\n"
     "for lists cards[0].token=…. The slot follows from the field merchant.\n"
     "Examples: florin-ctl call --home var health\n"
     "          florin-ctl call --home var --to ledger-1 ping\n"
     "          florin-ctl call --home var api_request route=payment_intent_create \\\n"
     "              'params=form:amount=2000&currency=usd'"},
    {"merchant", ctl_merchant,
     "[--account acct_…] [--name TEXT] [--country CC] [--currency ccc] [--api-version VERSION]",
     "Makes a merchant and prints its account and keys; with --account, changes the name or the\n"
     "pinned version of one that is there.\n"
     "Examples: florin-ctl merchant --home var --name Bakery\n"
     "          florin-ctl merchant --home var --account acct_… --api-version 2022-08-01"},
    {"key", ctl_key,
     "[--account acct_…] create [--restricted RESOURCE:read|write,… | --publishable] | list | "
     "revoke key_…",
     "Makes a further API key and prints it this once; lists the keys of an account; revokes one.\n"
     "Examples: florin-ctl key --home var create --restricted charges:read,payment_intents:write\n"
     "          florin-ctl key --home var list"},
    {"first-merchant", ctl_first_merchant, "[--wait SECONDS]",
     "Waits until a payment can be made; makes the first merchant if there is none.\n"
     "Example: florin-ctl first-merchant --home var --wait 30"},
#ifdef HAVE_AUDIT
    {"audit", ctl_audit, "[--json] [--wait SECONDS]",
     "Checks the books and everything else that must hold, a line each. With --wait it looks "
     "again\n"
     "until all of it does or the time is over: what is under way may end.\n"
     "Example: florin-ctl audit --home var"},
#endif
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void
help(void)
{
    puts("florin-ctl: asks a running Florin.\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  florin-ctl %s --home DIR %s\n", commands[i].name, commands[i].options);
    puts("\nflorin-ctl COMMAND --help tells more.");
}

const char *
option_value(const struct ctl *ctl, const char *option)
{
    for (int i = 0; i + 1 < ctl->count; i++)
        if (strcmp(ctl->arguments[i], option) == 0) return ctl->arguments[i + 1];
    return NULL;
}

int
option_given(const struct ctl *ctl, const char *option)
{
    for (int i = 0; i < ctl->count; i++)
        if (strcmp(ctl->arguments[i], option) == 0) return 1;
    return 0;
}

int
plain_words(const struct ctl *ctl, const char *const with_value[], const char *words[], int cap)
{
    int count = 0;
    for (int i = 0; i < ctl->count; i++) {
        const char *word = ctl->arguments[i];
        if (strncmp(word, "--", 2) != 0) {
            if (count < cap) words[count++] = word;
            continue;
        }
        if (strcmp(word, "--home") == 0) i++;
        for (size_t j = 0; with_value[j]; j++)
            if (strcmp(word, with_value[j]) == 0) i++;
    }
    return count;
}

int
main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        help();
        return argc < 2;
    }
    struct ctl ctl = {.arguments = (const char *const *)(argv + 2), .count = argc - 2};
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) != 0) continue;
        if (option_given(&ctl, "--help")) {
            printf("florin-ctl %s --home DIR %s\n%s\n", commands[i].name, commands[i].options,
                   commands[i].help);
            return 0;
        }
        char home[PATH_MAX];
        ctl.home = option_value(&ctl, "--home");
        if (!ctl.home) die("florin-ctl: --home is missing; try florin-ctl %s --help.", argv[1]);
        if (!realpath(ctl.home, home))
            die("There is no instance of Florin in %s: ./florin up makes one.", ctl.home);
        ctl.home = home;
        return commands[i].run(&ctl);
    }
    die("florin-ctl: there is no command \"%s\"; try --help.", argv[1]);
}
