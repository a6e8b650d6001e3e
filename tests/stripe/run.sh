#!/bin/sh
# The official Stripe library against a Florin of its own: a fresh instance in a temporary folder, on
# a free port, taken down at the end whatever happens.
#
#   ./run.sh               all tests
#   ./run.sh 20 50         those files whose names begin with 20 or 50, and nothing else
#
# FLORIN_SHARED names the folder with stripe/openapi.json (default: ../shared beside the checkout);
# without it the shape of the answers is not checked, and the run says so.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../.." && pwd)
cd "$here"

command -v node >/dev/null || { echo "tests/stripe: node is missing (apt-get install nodejs npm)" >&2; exit 1; }
if [ ! -f node_modules/stripe/package.json ]; then
    echo "tests/stripe: installing the stripe package from npm"
    npm ci --no-audit --no-fund --loglevel=error
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/florin-stripe.XXXXXX")
chmod 711 "$folder" # Postgres runs as a user of its own, and must get to its cluster
FLORIN_HOME=$folder/home
FLORIN_PORT=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => {
    console.log(s.address().port); s.close(); })')
FLORIN_CHECKOUT=$checkout
FLORIN_SHARED=${FLORIN_SHARED:-$checkout/../shared}
FLORIN_RECORD=$folder/answers
export FLORIN_HOME FLORIN_PORT FLORIN_CHECKOUT FLORIN_SHARED FLORIN_RECORD
mkdir -m 700 "$FLORIN_HOME" "$FLORIN_RECORD"
# Three days of tries in a few seconds, half a minute of patience in one and a half, and checkout
# sessions that last as long.
cat >"$FLORIN_HOME/florin.conf" <<'CONF'
webhook_retry_s = 1 1 2 2 4 4
webhook_jitter_percent = 0
webhook_timeout_ms = 1500
checkout_expires_s_min = 1
CONF

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
if [ "$skipped" -gt 0 ]; then echo "$skipped skipped, as said above"; fi
echo "$passed passed, $failed failed"
exit "$status"
