#!/bin/sh
# Florin's pages in Chromium: a fresh instance in a temporary folder, on a free port, taken down at the
# end whatever happens. Pictures of the pages are left in build/tests/browser/.
#
#   ./run.sh               all tests
#   ./run.sh 10            those files whose names begin with 10
set -eu
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../.." && pwd)
cd "$here"

command -v node >/dev/null || { echo "tests/browser: node is missing (apt-get install nodejs npm)" >&2; exit 1; }
CHROMIUM=${CHROMIUM:-$(command -v chromium || true)}
[ -n "$CHROMIUM" ] || { echo "tests/browser: chromium is missing (apt-get install chromium)" >&2; exit 1; }
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
    echo "tests/browser: installing playwright-core and stripe from npm"
    npm ci --no-audit --no-fund --loglevel=error
    touch node_modules/.package-lock.json
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/florin-browser.XXXXXX")
chmod 711 "$folder" # Postgres runs as a user of its own, and must get to its cluster
FLORIN_HOME=$folder/home
FLORIN_PORT=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => {
    console.log(s.address().port); s.close(); })')
FLORIN_CHECKOUT=$checkout
FLORIN_PICTURES=$checkout/build/tests/browser
FLORIN_BROWSER_FOLDER=$folder/browser
export FLORIN_HOME FLORIN_PORT FLORIN_CHECKOUT FLORIN_PICTURES FLORIN_BROWSER_FOLDER CHROMIUM
mkdir -m 700 "$FLORIN_HOME" "$FLORIN_BROWSER_FOLDER"
mkdir -p "$FLORIN_PICTURES"
# Sessions that last seconds, so that one can be seen to expire.
printf 'checkout_expires_s_min = 1\n' >"$FLORIN_HOME/florin.conf"

take_down() {
    status=$?
    trap - EXIT INT TERM
    if [ "$status" -ne 0 ] && [ -n "${FLORIN_KEEP_LOGS:-}" ]; then
        mkdir -p "$FLORIN_KEEP_LOGS" && cp -r "$FLORIN_HOME/log" "$FLORIN_KEEP_LOGS/" 2>/dev/null || true
    fi
    "$checkout/florin" down >/dev/null 2>&1 || status=1
    rm -rf "$folder"
    exit "$status"
}
trap take_down EXIT
trap 'exit 130' INT TERM

"$checkout/florin" up --detach
variables=$("$checkout/florin" env)
eval "$variables"
export FLORIN_URL FLORIN_SECRET_KEY FLORIN_PUBLISHABLE_KEY FLORIN_ACCOUNT

if [ $# -eq 0 ]; then
    set -- *.test.js
else
    files=
    for wanted; do files="$files $(ls "$wanted"*.test.js)"; done
    # shellcheck disable=SC2086
    set -- $files
fi

# One file after the other: the last ones add up what the first ones did.
passed=0 failed=0 skipped=0 status=0
for file; do
    node --test --test-reporter=spec --test-reporter-destination=stdout \
        --test-reporter=tap --test-reporter-destination="$folder/tap" "$file" || status=1
    passed=$((passed + $(sed -n 's/^# pass //p' "$folder/tap")))
    failed=$((failed + $(sed -n 's/^# fail //p' "$folder/tap")))
    skipped=$((skipped + $(sed -n 's/^# skipped //p' "$folder/tap")))
done
"$checkout/florin" audit --wait 10 >"$folder/audit" || { cat "$folder/audit"; failed=$((failed + 1)) status=1; }
if [ "$skipped" -gt 0 ]; then echo "$skipped skipped, as said above"; fi
echo "$passed passed, $failed failed"
exit "$status"
