#include "files.h"

#include "home_for_tests.h"
#include "random.h"
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>

static void
make(void)
{
    home_make();
    random_start();
    mkdir(in_home("secrets"), 0700);
}

TestSuite(files, .init = make, .fini = home_remove);

static int
count_of(const char *folder)
{
    int count = 0;
    DIR *open_folder = opendir(folder);
    while (readdir(open_folder))
        count++;
    closedir(open_folder);
    return count - 2;
}

Test(files, what_is_written_is_read)
{
    char out[16];
    cr_assert(file_write(in_home("x"), "hello", 5, 0640));
    cr_assert_eq(file_read(in_home("x"), out, sizeof out), 5);
    cr_assert_str_eq(out, "hello");
    struct stat status;
    cr_assert_eq(stat(in_home("x"), &status), 0);
    cr_assert_eq(status.st_mode & 07777, 0640);
    cr_assert(file_write(in_home("x"), "", 0, 0600));
    cr_assert_eq(file_read(in_home("x"), out, sizeof out), 0);
    cr_assert_str_eq(out, "");
    cr_assert_eq(count_of(home), 2); /* nothing is left beside it: x and secrets */
}

Test(files, longer_than_the_buffer_are_refused)
{
    char out[5];
    cr_assert(file_write(in_home("x"), "hello", 5, 0600));
    cr_assert_eq(file_read(in_home("x"), out, 5), -1);
    cr_assert_eq(errno, EFBIG);
    cr_assert(file_write(in_home("x"), "hell", 4, 0600));
    cr_assert_eq(file_read(in_home("x"), out, 5), 4);
}

Test(files, that_are_not_there_are_told_by_errno)
{
    char out[5];
    cr_assert_eq(file_read(in_home("nothing"), out, 5), -1);
    cr_assert_eq(errno, ENOENT);
    cr_assert_not(file_write(in_home("no/folder"), "x", 1, 0600));
    cr_assert_eq(errno, ENOENT);
}

Test(files, a_secret_is_made_once)
{
    uint8_t first[32], second[32];
    secret_make(home, "api_pepper", 32);
    cr_assert_eq(secret_read(home, "api_pepper", first, 32), 32);
    secret_make(home, "api_pepper", 32);
    cr_assert_eq(secret_read(home, "api_pepper", second, 32), 32);
    cr_assert_eq(memcmp(first, second, 32), 0);
    struct stat status;
    cr_assert_eq(stat(in_home("secrets/api_pepper"), &status), 0);
    cr_assert_eq(status.st_mode & 07777, 0600);
    cr_assert_eq(count_of(in_home("secrets")), 1);
    secret_make(home, "answer_mac", 32);
    cr_assert_eq(secret_read(home, "answer_mac", second, 32), 32);
    cr_assert_neq(memcmp(first, second, 32), 0);
}

Test(files, a_secret_for_its_owner_alone_may_be_read_only)
{
    uint8_t out[32];
    write_in_home("secrets/x", "12345", 0400);
    cr_assert_eq(secret_read(home, "x", out, sizeof out), 5);
}

static void
expect_to_die(const char *name)
{
    uint8_t out[32];
    secret_read(home, name, out, sizeof out);
}

Test(files, a_secret_that_is_missing_ends_the_process, .exit_code = 1)
{
    expect_to_die("x");
}

Test(files, a_secret_that_its_group_may_read_ends_the_process, .exit_code = 1)
{
    write_in_home("secrets/x", "12345", 0640);
    expect_to_die("x");
}

Test(files, a_secret_that_all_may_read_ends_the_process, .exit_code = 1)
{
    write_in_home("secrets/x", "12345", 0604);
    expect_to_die("x");
}

Test(files, a_secret_behind_a_symbolic_link_ends_the_process, .exit_code = 1)
{
    write_in_home("y", "12345", 0600);
    cr_assert_eq(symlink(in_home("y"), in_home("secrets/x")), 0);
    expect_to_die("x");
}

Test(files, a_secret_that_is_a_pipe_ends_the_process, .exit_code = 1)
{
    cr_assert_eq(mkfifo(in_home("secrets/x"), 0600), 0);
    expect_to_die("x");
}

Test(files, a_secret_that_is_empty_ends_the_process, .exit_code = 1)
{
    write_in_home("secrets/x", "", 0600);
    expect_to_die("x");
}

Test(files, a_secret_that_is_too_long_ends_the_process, .exit_code = 1)
{
    write_in_home("secrets/x", "123456789012345678901234567890123", 0600);
    expect_to_die("x");
}
