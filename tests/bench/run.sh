#!/bin/sh
# ./florin bench says what it should, and leaves nothing behind. Its figures are not judged: that is
# for a machine which does nothing else.
set -eu
checkout=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d "${TMPDIR:-/tmp}/florin-bench-test.XXXXXX")
chmod 711 "$folder"
trap 'rm -rf "$folder"' EXIT
export PYTHONDONTWRITEBYTECODE=1
passed=0 failed=0
check() {
    if eval "$2"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; fi
}
# says "what" 'expression about the report r': in Python
says() {
    check "$1" 'python3 -c "import json, sys; r = json.load(open(sys.argv[1])); sys.exit(not ('"$2"'))" "$folder/out" 2>/dev/null'
}
# A file of Python tests, each of which counts.
python_tests() {
    code=0
    python3 "$checkout/tests/bench/$1" >"$folder/python" 2>&1 || code=$?
    count=$(sed -n 's/^Ran \([0-9]*\) tests.*/\1/p' "$folder/python")
    bad=$(grep -cE '^(FAIL|ERROR): ' "$folder/python") || true
    [ "$code" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    [ "$bad" -eq 0 ] || cat "$folder/python"
    passed=$((passed + ${count:-0} - (bad < ${count:-0} ? bad : ${count:-0}))) failed=$((failed + bad))
}

python_tests figures_test.py

# All parts that are not the full run's, each as short as it can be.
TMPDIR=$folder "$checkout/florin" bench --quick --json --seconds 1 --connections 16 --scale \
    --memory-minutes 0.1 --memory-merchants 40 --memory-connections 20 --seed-payments 500 --audit \
    --report "$folder/BENCH.md" >"$folder/out" 2>"$folder/said" || cat "$folder/said"
check "it prints one line" '[ "$(wc -l <"$folder/out")" -eq 1 ]'
for field in pgbench_tps payments_per_second ratio_to_pgbench p50_ms p99_ms commits_per_payment \
    wal_bytes_per_payment rows_per_payment cpu_us_per_payment_total; do
    says "$field is a number above zero" "r['$field'] > 0"
done
says "the ledger's backend is among those that a payment costs something" \
    "r['cpu_us_per_payment']['postgres ledger'] > 0"
says "1, 2 and 4 workers were compared" "[row['workers'] for row in r['scale']] == [1, 2, 4]"
says "they answer the same" "all(row['same_answers'] and row['scenes'] > 20 for row in r['scale'])"
says "1 and 2 partitions were compared" "[row['partitions'] for row in r['partitions']] == [1, 2]"
says "they answer the same, too" "all(row['same_answers'] and row['scenes'] > 20 for row in r['partitions'])"
says "the memory of every process was seen" \
    "{'gateway-1', 'payments-1', 'payments-2', 'ledger-1', 'ledger-2', 'broker-1'} <= set(r['memory']['processes'])"
says "no worker and no gateway is above its limit" \
    "all(row['below_limit'] for row in r['memory']['processes'].values())"
says "500 payments were seeded, and their cost compared" "r['seed']['payments'] == 500 and r['seed']['growth'] > 0"
says "the audit finds nothing wrong with them" "r['seed']['audit'].endswith('invariants hold.') and 'All' in r['seed']['audit']"
check "the report has what is aimed at" 'grep -q "What is aimed at" "$folder/BENCH.md"'
check "and the picture that it names" 'grep -q "bench/memory.svg" "$folder/BENCH.md" && [ -s "$folder/bench/memory.svg" ]'
check "it takes its instance away" '[ -z "$(ls -d "$folder"/florin-bench.* 2>/dev/null)" ]'
check "an unknown option is refused" '! "$checkout/florin" bench --no-such-option >/dev/null 2>&1'
check "a number below zero is refused" '! "$checkout/florin" bench --seed-payments -1 >/dev/null 2>&1'
check "--help has an example" '"$checkout/florin" bench --help | grep -q "Example: ./florin bench"'

python_tests seeding_test.py
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
