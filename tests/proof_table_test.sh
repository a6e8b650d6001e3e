#!/bin/bash
# The table of README.md, row by row: that the check which it names is one of the script's, and that
# no method is left without something broken on purpose.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/support/check.sh"

table=$(sed -n 's/^| \(.*\) |$/\1/p' "$here/README.md" | tail -n +2)
while IFS='|' read -r method broken words script; do
    words=$(sed 's/^ *`//; s/` *$//' <<<"$words")
    script=$(sed 's/^ *`//; s/` *$//' <<<"$script")
    check "${method% }:${broken% } is found in $script" grep -qF -- "$words" "$here/../$script"
done <<<"$table"
for method in models simulation chaos 'nth call' 'hostile input' isolation Redis overload backup; do
    check "$method has something broken on purpose" grep -q "^$method |" <<<"$table"
done
# And a row of what is not there would be seen.
check "a check that no script has is noticed" eval '! grep -qF "no such check" "$here/models/run.sh"'

echo "$passed passed, $failed failed"
((failed == 0))
