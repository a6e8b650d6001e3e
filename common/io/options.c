#include "options.h"

#include "log.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
name_fits(const char *name, const char *role)
{
    const size_t size = strlen(role);
    if (strncmp(name, role, size) != 0 || name[size] != '-') return false;
    const char *instance = name + size + 1;
    return *instance >= '1' && *instance <= '9' && instance[strspn(instance, "0123456789")] == '\0';
}

struct options
options_read(int argc, char **argv, const char *role, const char *help)
{
    struct options options = {NULL, NULL};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            exit(0);
        }
        const char **value = strcmp(argv[i], "--home") == 0   ? &options.home
                             : strcmp(argv[i], "--name") == 0 ? &options.name
                                                              : NULL;
        if (!value) die("The option %s is not known; see --help.", argv[i]);
        if (++i == argc) die("The option %s needs a value; see --help.", argv[i - 1]);
        *value = argv[i];
    }
    if (!options.home || !options.name) die("Both --home and --name are needed; see --help.");
    if (!name_fits(options.name, role))
        die("The name %s is not that of a %s process, as in %s-1.", options.name, role, role);
    return options;
}
