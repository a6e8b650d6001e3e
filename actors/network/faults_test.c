#include "faults.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

Test(faults, a_file_says_what_goes_wrong)
{
    struct faults faults = {.fault_silent = 1};
    char error[128];
    cr_assert(faults_parse(TEXT("# a slow day\ndelay_ms = 50\n\nlose_percent=3 # of a hundred\r\n"
                                "double=1"),
                           &faults, error, sizeof error));
    cr_expect(eq(i64, faults.fault_delay_ms, 50));
    cr_expect(eq(i64, faults.fault_lose_percent, 3));
    cr_expect(eq(i64, faults.fault_double, 1));
    cr_expect(zero(i64, faults.fault_silent), "what is not in the file is off");
}

Test(faults, a_line_that_is_not_understood_leaves_all_as_it_was)
{
    static const char *const files[] = {"delay",
                                        "delay_ms=",
                                        "delay_ms=-1",
                                        "delay_ms=1x",
                                        "=1",
                                        "silent=2",
                                        "lose_percent=101",
                                        "loud=1",
                                        "delay_ms=99999999999999999999",
                                        "double=1\nsilent=yes"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct faults faults = {.fault_late_ms = 7};
        char error[128] = "";
        cr_expect(not(faults_parse(text_of(files[i]), &faults, error, sizeof error)), "%s",
                  files[i]);
        cr_expect(ne(str, error, (char *)""));
        cr_expect(eq(i64, faults.fault_late_ms, 7));
        cr_expect(zero(i64, faults.fault_double));
    }
}

static void
write_file(const char *path, const char *words)
{
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL);
    fputs(words, file);
    fclose(file);
}

Test(faults, the_file_is_read_again_when_it_changes)
{
    char home[] = "/tmp/florin-faults-XXXXXX", folder[64], path[80];
    struct faults_file file;
    struct faults faults = {0};
    cr_assert(mkdtemp(home) != NULL);
    snprintf(folder, sizeof folder, "%s/network", home);
    cr_assert(zero(int, mkdir(folder, 0700)));
    snprintf(path, sizeof path, "%s/faults", folder);

    faults_file_init(&file, home);
    faults_refresh(&file, &faults);
    cr_expect(zero(i64, faults.fault_silent));
    write_file(path, "silent=1\n");
    faults_refresh(&file, &faults);
    cr_expect(eq(i64, faults.fault_silent, 1));
    write_file(path, "nonsense\n");
    faults_refresh(&file, &faults);
    cr_expect(eq(i64, faults.fault_silent, 1));
    cr_assert(zero(int, unlink(path)));
    faults_refresh(&file, &faults);
    cr_expect(zero(i64, faults.fault_silent));
    cr_expect(zero(int, rmdir(folder)));
    cr_expect(zero(int, rmdir(home)));
}
