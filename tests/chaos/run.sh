#!/usr/bin/env bash
# Florin under chaos, in short (tools/chaos/README.md; README.md here says what each check proves).
set -u
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../.." && pwd)
report=$checkout/build/tests/chaos
. "$here/../support/check.sh"

no_failpoints_in_release() {
    local bin found=0
    for bin in "$checkout"/build/release/bin/florin-*; do
        [[ -x $bin ]] || return 1
        # Not the names of the table: those of an enum are in the debugging information.
        if grep -aqE 'FLORIN_DETOUR|ledger\.after_commit|failpoint\.passed|failpoint_pass' "$bin"; then
            echo "$bin has failpoints"
            found=1
        fi
    done
    # And what is looked for is found where it is.
    grep -aq 'ledger\.after_commit' "$checkout/build/chaos/bin/florin-ledger" || found=1
    return $found
}

# --shared: what is asked of a machine that does nothing else is in docs/CHAOS.md.
a_minute_of_chaos() {
    "$checkout/florin" chaos --minutes 1 --rate 150 --shared --report "$report/minute"
}

# A worker that answers before the ledger has committed: what it told is lost when everything dies.
a_lie_is_found() {
    "$checkout/florin" chaos --minutes 0.4 --rate 150 --settle 10 --quiet --json --only '^kill -9 everything at once$' \
        --failpoints payments.answer_early:skip --report "$report/lie" >"$report/lie.json" && return 1
    node -e 'const told = JSON.parse(require("fs").readFileSync(process.argv[1]));
        console.log(`the lie: ${told.lost} lost, ${told.doubled} doubled, ${told.wrong} wrong, ${told.errorsSeen} errors seen`);
        process.exit(told.lost + told.wrong > 0 ? 0 : 1)' "$report/lie.json"
}

mkdir -p "$report"
check "a minute of chaos: nothing lost, doubled or wrong, no error seen by clients that retry" a_minute_of_chaos
check "a Florin that answers before it has committed is found out" a_lie_is_found
check "nothing of the failpoints is in the build for use" no_failpoints_in_release
check "the model finds what is there to be found" node --test --test-reporter=dot "$here/model_test.mjs"
check "refunds that take their time survive kills" node "$here/refunds_survive_kills.mjs"
echo "$passed passed, $failed failed"
((failed == 0))
