#!/bin/sh
# is_pure.sh LIBRARY: fails when the library needs a symbol that is neither its own nor one of assert,
# mem…, str… and the formatting of text into a buffer of the caller's.
set -eu
own=$(mktemp) needed=$(mktemp)
trap 'rm -f "$own" "$needed"' EXIT
nm --defined-only --extern-only "$1" | awk 'NF == 3 { print $3 }' | sort -u > "$own"
nm --undefined-only "$1" | awk '$1 == "U" { print $2 }' | sort -u > "$needed"
outside=$(comm -13 "$own" "$needed" |
    grep -vE '^(__assert_fail|_*(mem|str)[a-z0-9]+(_chk)?|_*v?snprintf(_chk)?|__stack_chk_fail|__popcountdi2|__(asan|ubsan|sanitizer)_.*|_GLOBAL_OFFSET_TABLE_)$' || true)
[ -z "$outside" ] || { echo "core is not pure; it needs:" $outside; exit 1; }
test -s "$own" && test -s "$needed" || { echo "nothing was read from $1"; exit 1; }
