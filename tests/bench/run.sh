#!/bin/sh
# ./florin bench says what it should, and leaves nothing behind. Its figures are not judged: that is
# for a machine which does nothing else.
set -eu
checkout=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d "${TMPDIR:-/tmp}/florin-bench-test.XXXXXX")
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0
check() {
    if eval "$2"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; fi
}

TMPDIR=$folder "$checkout/florin" bench --quick --json --seconds 1 --connections 16 >"$folder/out" 2>"$folder/said" ||
    cat "$folder/said"
check "it prints one line" '[ "$(wc -l <"$folder/out")" -eq 1 ]'
for field in pgbench_tps payments_per_second ratio_to_pgbench p50_ms p99_ms commits_per_payment \
    wal_bytes_per_payment rows_per_payment cpu_us_per_payment_total; do
    check "$field is a number above zero" \
        'python3 -c "import json, sys; sys.exit(not json.load(open(sys.argv[1]))[sys.argv[2]] > 0)" "$folder/out" $field'
done
check "the ledger's backend is among those that a payment costs something" \
    'python3 -c "import json, sys; sys.exit(not json.load(open(sys.argv[1]))[\"cpu_us_per_payment\"][\"postgres ledger\"] > 0)" "$folder/out"'
check "it takes its instance away" '[ -z "$(ls -d "$folder"/florin-bench.* 2>/dev/null)" ]'
check "an unknown option is refused" '! "$checkout/florin" bench --no-such-option >/dev/null 2>&1'
check "--help has an example" '"$checkout/florin" bench --help | grep -q "Example: ./florin bench"'
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
