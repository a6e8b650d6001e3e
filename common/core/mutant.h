/* mutant: a protection taken out of the code, to see that its loss is noticed.
 *
 *     if (FLORIN_MUTANT(not_found_is_final)) return NEXT_FINISH;
 *
 * Nothing of it is in what is shipped: only the simulator is built with FLORIN_MUTANTS (tests/sim,
 * where mutants.def lists them), and asks for one of them by name. */
#pragma once

#ifdef FLORIN_MUTANTS
#include <stdbool.h>
#include <stdio.h>
#define MUTANT(name, doc) MUTANT_##name,
enum mutant {
    MUTANT_NONE,
#include "mutants.def"
};
#undef MUTANT
extern enum mutant mutant_chosen;
bool mutant_choose(const char *name);
void mutants_list(FILE *out);
#define FLORIN_MUTANT(name) (mutant_chosen == MUTANT_##name)
#else
#define FLORIN_MUTANT(name) 0
#endif
