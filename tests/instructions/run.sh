#!/bin/sh
# How many instructions the pure paths take (valgrind's callgrind: the same on a busy machine), against
# counts.txt; more than 5 % above fails.
#
#   ./run.sh            compares
#   ./run.sh --write    writes counts.txt anew, after a change that is worth its price
set -eu
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../.." && pwd)
command -v valgrind >/dev/null || { echo "tests/instructions: valgrind is missing (apt-get install valgrind)" >&2; exit 1; }
[ -e "$checkout/build/release/build.ninja" ] || (cd "$checkout" && cmake --preset release >/dev/null)
ninja -C "$checkout/build/release" instruction_paths >/dev/null
paths=$checkout/build/release/bin/instruction_paths
folder=$(mktemp -d "${TMPDIR:-/tmp}/florin-instructions.XXXXXX")
trap 'rm -rf "$folder"' EXIT

total() {
    valgrind --tool=callgrind --callgrind-out-file="$folder/out" "$paths" "$1" "$2" >/dev/null 2>"$folder/said" ||
        { cat "$folder/said" >&2; exit 1; }
    sed -n 's/^summary: //p' "$folder/out"
}

passed=0 failed=0
for name in $("$paths"); do
    few=$(total "$name" 10)
    many=$(total "$name" 110)
    now=$(((many - few) / 100))
    if [ "${1:-}" = --write ]; then
        echo "$name $now" >>"$folder/counts"
        echo "$name $now"
        continue
    fi
    was=$(sed -n "s/^$name //p" "$here/counts.txt")
    if [ -n "$was" ] && [ $((now * 100)) -le $((was * 105)) ]; then
        passed=$((passed + 1))
        echo "$name: $now instructions ($was)"
    else
        failed=$((failed + 1))
        echo "FAILED $name: $now instructions, ${was:-none} in counts.txt; at most 5 % more are taken"
    fi
done
if [ "${1:-}" = --write ]; then
    cp "$folder/counts" "$here/counts.txt"
    exit 0
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
