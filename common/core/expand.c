#include "expand.h"

bool
expand_next(struct text paths, size_t *at, struct text *path)
{
    while (*at < paths.size && paths.at[*at] == ' ')
        (*at)++;
    const size_t from = *at;
    while (*at < paths.size && paths.at[*at] != ' ')
        (*at)++;
    *path = (struct text){paths.at + from, *at - from};
    return *at > from;
}

struct text
expand_head(struct text path)
{
    const char *dot = path.size ? memchr(path.at, '.', path.size) : NULL;
    return dot ? (struct text){path.at, (size_t)(dot - path.at)} : path;
}

bool
expand_has(struct text paths, const char *segment)
{
    struct text path;
    size_t at = 0;
    if (!paths.size) return false; /* as a rule nothing is to be expanded */
    while (expand_next(paths, &at, &path))
        if (text_is(expand_head(path), segment)) return true;
    return false;
}

struct text
expand_below(struct text paths, const char *segment, char *out)
{
    struct text path, below = {out, 0};
    size_t at = 0;
    while (expand_next(paths, &at, &path)) {
        const struct text head = expand_head(path);
        if (!text_is(head, segment) || head.size + 1 >= path.size) continue;
        if (below.size) out[below.size++] = ' ';
        memcpy(out + below.size, path.at + head.size + 1, path.size - head.size - 1);
        below.size += path.size - head.size - 1;
    }
    return below.size ? below : NO_TEXT;
}
