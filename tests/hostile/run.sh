#!/usr/bin/env bash
# Hostile clients against a Florin of its own: see README.md.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(cd "$here/../.." && pwd)
export FLORIN=$checkout/florin
ulimit -n "$(ulimit -Hn)"

folder=$(mktemp -d "${TMPDIR:-/tmp}/florin-hostile.XXXXXX")
chmod 711 "$folder" # Postgres runs as a user of its own, and must get to its cluster
export FLORIN_HOME=$folder/home
FLORIN_PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export FLORIN_PORT
mkdir -m 700 "$FLORIN_HOME"
cat >"$FLORIN_HOME/florin.conf" <<'CONF'
webhook_private_addresses = 0
webhook_retry_s = 1 60
CONF
take_down() {
    status=$?
    trap - EXIT INT TERM
    if [[ $status -ne 0 && -n ${FLORIN_KEEP_LOGS:-} ]]; then
        mkdir -p "$FLORIN_KEEP_LOGS" && cp -r "$FLORIN_HOME/log" "$FLORIN_KEEP_LOGS/" 2>/dev/null || true
    fi
    "$FLORIN" down >/dev/null 2>&1 || status=1
    rm -rf "$folder"
    exit "$status"
}
trap take_down EXIT
trap 'exit 130' INT TERM

"$FLORIN" up --detach >/dev/null || exit 1
variables=$("$FLORIN" env)
eval "$variables"
export FLORIN_URL FLORIN_SECRET_KEY FLORIN_PUBLISHABLE_KEY FLORIN_ACCOUNT

passed=0 failed=0
for test in "${@:-requests.mjs sockets.py crowd.mjs audit}"; do
    for one in $test; do
        echo "tests/hostile/$one"
        case $one in
            *.mjs) command=(node "$here/$one") ;;
            *.py) command=(python3 "$here/$one") ;;
            audit) command=("$FLORIN" audit --wait 20) ;;
        esac
        code=0
        "${command[@]}" >"$folder/said" 2>&1 || code=$?
        cat "$folder/said"
        line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$folder/said" | tail -n 1)
        if [[ -n $line ]]; then
            read -r p _ f _ <<<"${line/,/}"
            passed=$((passed + p)) failed=$((failed + f))
            if ((code != 0 && f == 0)); then failed=$((failed + 1)); fi
        elif ((code == 0)); then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
        fi
    done
done
echo "$passed passed, $failed failed"
((failed == 0))
