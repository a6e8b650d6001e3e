#!/usr/bin/env bash
# Redis killed, emptied, hanging and lying costs time only; see README.md. Ends with
# `N passed, N failed`.
. "$(dirname "$0")/../support/instance.sh" redis
here=$checkout/tests/redis
bin=$checkout/build/release/bin
export FLORIN=$florin

try() {
    python3 "$here/without_redis.py" "$FLORIN_HOME" "$@"
}

# One that is broken must fail, at what it breaks.
caught() {
    local words=$1
    shift
    try "$@" >"$folder/said" 2>&1 && { echo "it passed"; return 1; }
    grep -q "^FAILED  .*$words" "$folder/said" || { tail -n 5 "$folder/said"; return 1; }
}

check "an instance comes up" up
check "it pays" payment_made
try "$FLORIN_URL" "$FLORIN_SECRET_KEY" all | tee "$folder/tried"
passed=$((passed + $(grep -c '^ok ' "$folder/tried")))
failed=$((failed + $(grep -c '^FAILED ' "$folder/tried")))
check "all of it was tried" grep -q '^ok .*payments go on from then' "$folder/tried"
run "$florin" audit --wait 20
check "the audit is clean" test "$code" -eq 0
((code == 0)) || echo "$said"

# --- gateways that are broken, beside the good one, on a port and with a name of their own ---

cmake --preset release -S "$checkout" >"$folder/build.log" 2>&1 &&
    ninja -C "$checkout/build/release" gateway_trusting gateway_patient >>"$folder/build.log" 2>&1 ||
    { tail -n 20 "$folder/build.log"; fails "the broken gateways are built"; }
cp -p "$FLORIN_HOME/keys/gateway-1.key" "$FLORIN_HOME/keys/gateway-2.key"
cp -p "$FLORIN_HOME/keys/public/gateway-1.pub" "$FLORIN_HOME/keys/public/gateway-2.pub"

# beside PROGRAM WORDS PHASE: what it breaks is seen.
beside() {
    local port gateway result=0
    port=$(free_port)
    FLORIN_PORT=$port "$bin/$1" --home "$FLORIN_HOME" --name gateway-2 2>"$folder/$1.log" &
    gateway=$!
    within 20 eval '(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null' || result=1
    caught "$2" "http://127.0.0.1:$port" "$FLORIN_SECRET_KEY" "$3" || result=1
    kill "$gateway"
    wait "$gateway" 2>/dev/null
    return $result
}
check "a gateway that believes Redis is caught" beside gateway_trusting "keys give what they gave" altered
check "a gateway that waits for Redis each time is caught" beside gateway_patient "hangs costs little" stopped
conclude
