#include "mutant.h"

#include <string.h>

enum mutant mutant_chosen;

#define MUTANT(name, doc) {#name, doc},
static const struct {
    const char *name, *doc;
} mutants[] = {
#include "mutants.def"
};
#undef MUTANT

bool
mutant_choose(const char *name)
{
    for (size_t i = 0; i < sizeof mutants / sizeof mutants[0]; i++)
        if (strcmp(mutants[i].name, name) == 0) {
            mutant_chosen = (enum mutant)(i + 1);
            return true;
        }
    return false;
}

void
mutants_list(FILE *out)
{
    for (size_t i = 0; i < sizeof mutants / sizeof mutants[0]; i++)
        fprintf(out, "%s\t%s\n", mutants[i].name, mutants[i].doc);
}
