/* everybody: a mutant of roles_include (message.h), for which every role stands in every list. What
 * is linked with --wrap=roles_include lets everybody in and takes everything from everybody. */
#include <stdbool.h>

bool __wrap_roles_include(const char *roles, const char *role);

bool
__wrap_roles_include(const char *roles, const char *role)
{
    (void)role;
    return *roles != 0;
}
