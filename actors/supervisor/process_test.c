#include "process.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#define COMMAND(words) words, sizeof words /* the last NUL is the literal's own */

static char name[32];

Test(process, an_actor_is_known_by_its_command_line)
{
    cr_assert(command_is_actor(COMMAND("/opt/bin/florin-ledger\0--home\0/h\0--name\0ledger-2"),
                               "/h", name));
    cr_assert_str_eq(name, "ledger-2");
}

Test(process, what_is_of_another_home_or_another_program_is_none_of_ours)
{
    static const struct {
        const char *command;
        size_t size;
    } others[] = {
        {COMMAND("/opt/bin/florin-ledger\0--home\0/h2\0--name\0ledger-2")},
        {COMMAND("/opt/bin/florin-ledger\0--home\0/h")},
        {COMMAND("/opt/bin/florin-ledger\0--home\0/h\0--name")},
        {COMMAND("/opt/bin/florin-supervisor\0--home\0/h\0--name\0supervisor-1")},
        {COMMAND("/usr/bin/less\0--home\0/h\0--name\0ledger-2")},
        {COMMAND("")},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_assert_not(command_is_actor(others[i].command, others[i].size, "/h", name), "row %zu",
                      i);
}

Test(process, money_is_started_first_and_ended_last)
{
    const struct settings settings = {
        .partitions = 1, .workers = 2, .standby_workers = 1, .webhook_workers = 1};
    struct processes p = {0};
    processes_list(&p, &settings);
    cr_assert_str_eq(p.list[0].name, "postgres");
    cr_assert_str_eq(p.list[p.count - 1].name, "gateway-1");
    cr_assert_lt(process_named(&p, "ledger-2")->stage, process_named(&p, "payments-3")->stage);
    cr_assert_null(process_named(&p, "payments-4"));
    cr_assert_null(process_named(&p, "webhooks-2"));
    cr_assert_null(process_named(&p, "ledger-3"));
}

Test(process, each_partition_has_two_ledgers)
{
    const struct settings settings = {.partitions = 2, .workers = 2, .webhook_workers = 2};
    struct processes p = {0};
    processes_list(&p, &settings);
    cr_assert_not_null(process_named(&p, "ledger-4"));
    cr_assert_null(process_named(&p, "ledger-5"));
    cr_assert_not_null(process_named(&p, "webhooks-2"));
}

Test(process, an_own_postgres_of_the_operator_is_not_supervised)
{
    const struct settings settings = {
        .partitions = 1, .workers = 1, .webhook_workers = 1, .postgres_dsn = "host=db"};
    struct processes p = {0};
    processes_list(&p, &settings);
    cr_assert_null(process_named(&p, "postgres"));
    cr_assert_not_null(process_named(&p, "redis"));
}

Test(process, what_is_started_waits_for_its_turn_to_run)
{
    /* Field 41 of its stat is the policy, 3 is SCHED_BATCH. */
    static const char *const arguments[] = {"/bin/sh", "-c",
                                            "test \"$(cut -d' ' -f41 /proc/self/stat)\" = 3", NULL};
    cr_expect_eq(program_run(NULL, STDERR_FILENO, arguments), 0);
}
