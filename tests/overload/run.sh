#!/usr/bin/env bash
# Five times the capacity; see README.md. Ends with `N passed, N failed`.
. "$(dirname "$0")/../support/instance.sh" overload
here=$checkout/tests/overload
flood=$checkout/build/release/bin/flood

cmake --preset release -S "$checkout" >"$folder/build.log" 2>&1 &&
    ninja -C "$checkout/build/release" flood >>"$folder/build.log" 2>&1 ||
    { tail -n 20 "$folder/build.log"; fails "the generator is built"; conclude; }
# Overload of the whole, and not the limits of one account.
printf 'account_rate = 0\nkey_rate = 0\n' >"$FLORIN_HOME/florin.conf"
check "an instance comes up" up
keys=("$FLORIN_SECRET_KEY")
for name in one two three four five six seven; do
    keys+=("$("$florin" merchant --name "$name" | grep -oE 'sk_test_[0-9A-Za-z]+' | head -n 1)")
done

try() {
    python3 "$here/overload.py" "$FLORIN_HOME" "$FLORIN_PORT" "$flood" "$1" "${keys[@]}"
}
try good | tee "$folder/tried"
passed=$((passed + $(grep -c '^ok ' "$folder/tried")))
failed=$((failed + $(grep -c '^FAILED ' "$folder/tried")))
check "the flood ran to its end" grep -q 'memory is flat' "$folder/tried"
quiet_log() {
    (($(grep -c 'requests.refused' "$FLORIN_HOME/log/gateway-1.log") > 0)) &&
        (($(grep -c 'request.failed.*ms=0$' "$FLORIN_HOME/log/gateway-1.log") < 100))
}
check "the log tells of it, and is not flooded itself" quiet_log
run "$florin" audit --wait 30
check "the audit is clean" test "$code" -eq 0
((code == 0)) || grep -v '^ok' <<<"$said"

# --- a gateway that lets everybody in ---

"$florin" down >/dev/null
printf 'account_rate = 0\nkey_rate = 0\naccount_concurrency = 0\nrequests_max = 16000\n' >"$FLORIN_HOME/florin.conf"
check "one without that limit comes up" up
caught() {
    try quick >"$folder/quick" 2>&1 && { echo "it passed"; return 1; }
    grep -q "^FAILED  what is refused is refused at once" "$folder/quick" || { tail -n 5 "$folder/quick"; return 1; }
}
check "and is caught: nobody is refused at once" caught
said_busy() {
    grep -h 'commits.refused' "$FLORIN_HOME"/log/ledger-*.log | tail -n 1
}

# --- a ledger that has hardly room for anybody ---

"$florin" down >/dev/null
printf 'account_rate = 0\nkey_rate = 0\nledger_queue_max = 16\nbatch_max = 4\n' >"$FLORIN_HOME/florin.conf"
check "one whose ledger has hardly any room comes up" up
"$flood" "$FLORIN_PORT" 3 300 0 "${keys[@]}" >"$folder/flooded"
check "all that it is asked is paid or refused" grep -q '"lost":0,"unanswered":0,"wrong_code":0,' "$folder/flooded"
check "its ledger refused some commits" grep -qE 'refused_so_far=[1-9]' <(said_busy)
check "and never one that finishes what the network has done ($(said_busy | grep -oE 'refused_so_far=[0-9]+ urgent=[0-9]+'))" \
    grep -q ' urgent=0$' <(said_busy)
run "$florin" audit --wait 30
check "the audit is clean: whatever was begun was finished" test "$code" -eq 0
((code == 0)) || grep -v '^ok' <<<"$said"
conclude
