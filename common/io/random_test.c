#include "random.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(random, .init = random_start);

Test(random, no_two_pieces_are_the_same)
{
    static uint8_t pieces[1000][16];
    for (size_t i = 0; i < 1000; i++) {
        random_bytes(pieces[i], sizeof pieces[i]);
        for (size_t k = 0; k < i; k++)
            cr_assert_neq(memcmp(pieces[k], pieces[i], sizeof pieces[i]), 0);
    }
}

Test(random, every_size_is_filled_to_its_end)
{
    for (size_t size = 1; size < 600; size++) {
        uint8_t bytes[601] = {0};
        bool last = false;
        for (int i = 0; i < 20 && !last; i++) { /* a zero by chance is not twenty */
            random_bytes(bytes, size);
            last = bytes[size - 1] != 0;
        }
        cr_assert(last);
        cr_assert_eq(bytes[size], 0);
    }
}

Test(random, a_child_has_chance_of_its_own)
{
    uint8_t ours[16], theirs[16];
    int ends[2];
    random_bytes(ours, sizeof ours); /* so that there is something in store */
    cr_assert_eq(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        random_bytes(theirs, sizeof theirs);
        _exit(write(ends[1], theirs, sizeof theirs) != sizeof theirs);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert_eq(read(ends[0], theirs, sizeof theirs), sizeof theirs);
    random_bytes(ours, sizeof ours);
    cr_expect_neq(memcmp(ours, theirs, sizeof ours), 0);
}
