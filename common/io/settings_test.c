#include "settings.h"

#include "home_for_tests.h"
#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

static struct settings settings;
static char error[PATH_MAX + 640];

static void
make(void)
{
    unsetenv("FLORIN_PORT");
    home_make();
}

TestSuite(settings, .init = make, .fini = home_remove);

static bool
reads(void)
{
    error[0] = 0;
    const bool good = settings_read(home, &settings, error, sizeof error);
    cr_assert_eq(good, error[0] == 0);
    cr_assert_null(strchr(error, '\n'));
    return good;
}

static bool
reads_text(const char *text)
{
    write_in_home("florin.conf", text, 0600);
    return reads();
}

Test(settings, that_are_missing_or_empty_are_the_defaults)
{
    cr_assert(reads());
    cr_assert_eq(settings.port, 8420);
    cr_assert_str_eq(settings.listen, "127.0.0.1");
    cr_assert(reads_text(""));
    cr_assert_eq(settings.port, 8420);
    cr_assert(reads_text("\n# a comment\n   \n\t# another\n"));
    cr_assert_str_eq(settings.log_level, "info");
}

Test(settings, that_are_given_count)
{
    cr_assert(reads_text("port = 9000\nlisten=::1\r\n  workers   =  4  \n"
                         "postgres_dsn = host=db user='a b'\n"));
    cr_assert_eq(settings.port, 9000);
    cr_assert_str_eq(settings.listen, "::1");
    cr_assert_eq(settings.workers, 4);
    cr_assert_str_eq(settings.postgres_dsn, "host=db user='a b'");
    cr_assert_eq(settings.batch_max, 96);
}

Test(settings, each_partition_has_its_own_of_what_is_shared_out)
{
    cr_assert(reads_text("partitions = 3\nworkers = 3\nwebhook_workers = 4\n"), "%s", error);
    cr_assert_not(reads_text("workers = 2\npartitions = 3\nwebhook_workers = 4\n"));
    cr_assert_not_null(strstr(error, "partitions = 3 and workers = 2"));
    cr_assert_not(reads_text("partitions = 3\nworkers = 3\n"));
    cr_assert_not_null(strstr(error, "webhook_workers = 2"));
}

Test(settings, another_partitions_postgres_is_the_firsts_unless_it_has_one)
{
    cr_assert(reads_text("postgres_dsn = host=a\npostgres_dsn_3 = host=c\n"));
    cr_assert_str_eq(settings_postgres(&settings, 1), "host=a");
    cr_assert_str_eq(settings_postgres(&settings, 2), "host=a");
    cr_assert_str_eq(settings_postgres(&settings, 3), "host=c");
}

Test(settings, that_mean_nothing_any_more_are_let_pass)
{
    cr_assert(reads_text("http_threads = 64\nport = 9000\n"), "%s", error);
    cr_assert_eq(settings.port, 9000);
}

Test(settings, of_the_environment_win)
{
    setenv("FLORIN_PORT", "9001", 1);
    cr_assert(reads_text("port = 9000\n"));
    cr_assert_eq(settings.port, 9001);
    static const char *const bad[] = {"0", "65536", "x", "80 ", "-1", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        setenv("FLORIN_PORT", bad[i], 1);
        cr_assert_not(reads());
        cr_assert_not_null(strstr(error, "FLORIN_PORT"));
    }
}

struct bad {
    const char *text;
    int line;
    const char *says;
};

// clang-format off
/* Each row is one fault; the sentence names its line and says what it is. */
static const struct bad bad[] = {
    {"port = 9000",                           1, "cut off"},
    {"port = 9000\nworkers = 1",              2, "cut off"},
    {"\n\nprot = 9000\n",                     3, "no setting called `prot`"},
    {"Port = 9000\n",                         1, "no setting called `Port`"},
    {" = 9000\n",                             1, "no setting called ``"},
    {"port\n",                                1, "name = value"},
    {"port 9000\n",                           1, "name = value"},
    {"port = 1\n# x\nport = 1\n",             3, "before, in line 1"},
    {"port =\n",                              1, "whole number"},
    {"port = 80a\n",                          1, "whole number"},
    {"port = 8 0\n",                          1, "whole number"},
    {"port = +80\n",                          1, "whole number"},
    {"port = 0x50\n",                         1, "whole number"},
    {"port = 80.0\n",                         1, "whole number"},
    {"request_timeout_ms = 30s\n",            1, "whole number"},
    {"port = 99999999999999999999\n",         1, "whole number"},
    {"port = 99999999999999999999999999\n",   1, "whole number"},
    {"port = 0\n",                            1, "between 1 and 65535"},
    {"port = 65536\n",                        1, "between 1 and 65535"},
    {"port = -1\n",                           1, "between 1 and 65535"},
    {"listen =\n",                            1, "between 1 and 63"},
    {"webhook_retry_s =\n",                   1, "between 1 and 255"},
    {"log_level = loud\n",                    1, "debug, info, warning or error"},
    {"log_level = verybad\n",                 1, "debug, info, warning or error"},
    {"listen = \xff\n",                       1, "UTF-8"},
    {"# fine: \xc3\xa9\nlisten = \xc3\n",     2, "UTF-8"},
    {"listen = a\x01\n",                      1, "control character"},
};
// clang-format on

Test(settings, that_are_wrong_are_refused_with_their_line)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char where[32];
        snprintf(where, sizeof where, "florin.conf, line %d: ", bad[i].line);
        cr_assert_not(reads_text(bad[i].text), "%s", bad[i].text);
        cr_assert_not_null(strstr(error, where), "%s", error);
        cr_assert_not_null(strstr(error, bad[i].says), "%s", error);
    }
}

Test(settings, with_a_nul_are_refused)
{
    FILE *file = fopen(in_home("florin.conf"), "w");
    cr_assert_eq(fwrite("port = 1\0\n", 1, 10, file), 10);
    fclose(file);
    cr_assert_not(reads());
    cr_assert_not_null(strstr(error, "line 1"));
}

Test(settings, that_others_may_write_are_refused)
{
    write_in_home("florin.conf", "port = 9000\n", 0666);
    cr_assert_not(reads());
    cr_assert_not_null(strstr(error, "everybody"));
}

Test(settings, behind_a_symbolic_link_are_refused)
{
    write_in_home("other", "port = 9000\n", 0600);
    cr_assert_eq(symlink(in_home("other"), in_home("florin.conf")), 0);
    cr_assert_not(reads());
    cr_assert_not_null(strstr(error, "symbolic link"));
}

Test(settings, that_are_no_file_are_refused)
{
    cr_assert_eq(mkdir(in_home("florin.conf"), 0700), 0);
    cr_assert_not(reads());
    cr_assert_eq(rmdir(in_home("florin.conf")), 0);
    cr_assert_eq(mkfifo(in_home("florin.conf"), 0600), 0);
    cr_assert_not(reads());
}

Test(settings, of_ten_mebibytes_are_refused)
{
    const int fd = open(in_home("florin.conf"), O_CREAT | O_WRONLY, 0600);
    cr_assert_eq(ftruncate(fd, 10 << 20), 0);
    close(fd);
    cr_assert_not(reads());
    cr_assert_not_null(strstr(error, "65536"));
}

Test(settings, that_are_written_out_are_read_back)
{
    const int fd = open(in_home("florin.conf"), O_CREAT | O_WRONLY, 0600);
    settings_write_defaults(fd);
    close(fd);
    cr_assert(reads(), "%s", error);

    /* and every line that is commented out is good when it is not */
    static char text[32768], opened[32768];
    FILE *file = fopen(in_home("florin.conf"), "r");
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    char *out = opened;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        out += sprintf(out, "%s\n", line[0] == '#' && line[1] != ' ' ? line + 1 : line);
    struct settings defaults = settings;
    cr_assert(reads_text(opened), "%s", error);
    cr_assert_eq(memcmp(&defaults, &settings, sizeof settings), 0);
}

Test(settings, that_are_wrong_end_the_process, .exit_code = 1)
{
    write_in_home("florin.conf", "port = 0\n", 0600);
    settings_load(home, &settings);
}
