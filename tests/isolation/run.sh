#!/usr/bin/env bash
# Who may do what, as matrices, and where card numbers are not; see README.md. Ends with
# `N passed, N failed`.
. "$(dirname "$0")/../support/instance.sh" isolation
here=$checkout/tests/isolation
bin=$checkout/build/release/bin

# The release build, as `./florin up` makes it, and the programs of this folder.
build_tools() {
    cmake --preset release -S "$checkout" >"$folder/build.log" 2>&1 &&
        ninja -C "$checkout/build/release" links_matrix links_matrix_mutant find_digits >>"$folder/build.log" 2>&1 ||
        { tail -n 20 "$folder/build.log"; return 1; }
}

# says TEXT command…: the command fails, and says so.
is_caught() {
    local words=$1
    shift
    "$@" >"$folder/said" 2>/dev/null && { echo "it passed"; return 1; }
    grep -q "$words" "$folder/said" || { tail -n 5 "$folder/said"; return 1; }
}

# --- every certificate on every socket with every message ---

check "an instance comes up" up
check "the programs of this test are built" build_tools
check "each certificate gets where links.def says, each message where messages.def says" \
    timeout 120 "$bin/links_matrix" "$folder/stage" 2>/dev/null
check "so it is at the sockets of the instance that runs" \
    timeout 120 "$bin/links_matrix" --live "$FLORIN_HOME" 2>/dev/null
check "a Florin that asks nobody for his role is caught" \
    is_caught "WRONG   monitor on vault_reveal-1: let in" timeout 120 "$bin/links_matrix_mutant" "$folder/mutant"
check "all of its processes are well after that" payment_made

# --- every role of Postgres on every table with every verb ---

grants() {
    python3 "$here/grants.py" "$FLORIN_HOME" "$checkout/common/proto/rows.def" "$here/grants.txt"
}
check "each role may do what grants.txt says" grants
sql florin -c 'GRANT DELETE ON ledger_transaction TO ledger' >/dev/null
check "one grant too many is caught" is_caught "ledger may delete ledger_transaction in florin" grants
sql florin -c 'REVOKE DELETE ON ledger_transaction FROM ledger' -c 'CREATE TABLE forgotten (x integer)' \
    -c 'GRANT SELECT ON forgotten TO payments' >/dev/null
check "a table that nobody thought of is caught" is_caught "payments may select forgotten" grants
sql florin -c 'DROP TABLE forgotten' >/dev/null
sql florin_vault -c 'REVOKE INSERT ON card FROM vault' >/dev/null
check "one too few is caught" is_caught "vault may not insert card" grants
sql florin_vault -c 'GRANT INSERT ON card TO vault' >/dev/null
check "and all is as it was" grants

# --- the processes that see cards ---

core_limit() {
    grep -qE '^Max core file size +0 +0 ' "/proc/$1/limits"
}
# As many bytes locked as there are in memory: what is not is the program's own text, which is a file.
memory_is_locked() {
    awk '/^VmLck/ { locked = $2 } /^RssAnon/ { anonymous = $2 } END { exit !(locked >= anonymous && anonymous > 0) }' \
        "/proc/$1/status"
}
# Asks the process itself: 3 is PR_GET_DUMPABLE.
dumpable() {
    timeout 60 gdb -p "$1" -batch -nx -ex 'print ((int (*)(int))prctl)(3)' 2>/dev/null | sed -n 's/^\$1 = //p'
}
vault=$(field vault-1 pid)
network=$(field network-1 pid)
check "no core file of the vault" core_limit "$vault"
check "nor of the network connector" core_limit "$network"
check "the vault's memory never goes to a disk" memory_is_locked "$vault"
check "which is not so for everybody" eval '! memory_is_locked "$(field broker-1 pid)"'
check "the vault may not be looked into" test "$(dumpable "$vault")" = 0
check "nor the network connector" test "$(dumpable "$network")" = 0
check "which is not so for everybody" test "$(dumpable "$(field broker-1 pid)")" = 1

# --- card numbers ---

mkdir -m 700 "$folder/canary"
FLORIN=$florin python3 "$here/canary.py" "$FLORIN_HOME" "$FLORIN_URL" "$FLORIN_SECRET_KEY" "$bin/find_digits" \
    "$folder/canary" | tee "$folder/canaries"
passed=$((passed + $(grep -c '^ok ' "$folder/canaries")))
failed=$((failed + $(grep -c '^FAILED ' "$folder/canaries")))
check "the search for card numbers ran to its end" grep -q '^ok .*planted in the memory of Redis' "$folder/canaries"
run "$florin" audit --wait 20
check "the audit is clean" test "$code" -eq 0
((code == 0)) || echo "$said"
conclude
