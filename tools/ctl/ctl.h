/* ctl: the commands of florin-ctl. Each gets its own arguments, and returns the exit code. */
#pragma once

struct ctl {
    const char *home;
    const char *const *arguments; /* behind the command's name */
    int count;
};

/* The value behind an option, which is taken out of the walk; NULL when it is not there. */
const char *option_value(const struct ctl *ctl, const char *option);
int option_given(const struct ctl *ctl, const char *option);
/* The words that are neither options nor values of `with_value` (ends with NULL). */
int plain_words(const struct ctl *ctl, const char *const with_value[], const char *words[],
                int cap);

int ctl_call(const struct ctl *ctl);
int ctl_status(const struct ctl *ctl);
int ctl_tap(const struct ctl *ctl);
int ctl_env(const struct ctl *ctl);
int ctl_merchant(const struct ctl *ctl);
int ctl_key(const struct ctl *ctl);
int ctl_first_merchant(const struct ctl *ctl);
