/* options: the command line of a process: --home, --name and --help. */
#pragma once

struct options {
    const char *home, *name;
};

/* Dies with a sentence on anything else, or when the name is not ROLE-INSTANCE; on --help prints
 * `help` and exits with 0. */
struct options options_read(int argc, char **argv, const char *role, const char *help);
