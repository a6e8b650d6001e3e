#!/bin/bash
# The nth call fails: a part of all cases, in a minute and a half, and that lies are found. README.md.
#
#   tests/nth_call/run.sh              the part that SEED picks (1)
#   tests/nth_call/run.sh --all        every n, every kind: some thousands of cases, about 20 minutes
set -u
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../.." && pwd)
seed=${SEED:-1}
. "$here/../support/check.sh"

# What the sweep says of a Florin that is broken on purpose (common/io/failpoints.def), or nothing.
broken() { # FAILPOINT, how the sweep must fail, then what it tries
    local fault=$1 words=$2 said
    shift 2
    if said=$(FP=$fault:skip "$here/sweep.sh" --bin "$checkout/build/chaos/bin" --until 1 --patience 12 --from "$seed" "$@" 2>&1); then
        echo "$fault was not found out:"
        tail -n 3 <<<"$said"
        return 1
    fi
    grep -E -m 1 "$words" <<<"$said" | cut -c1-180 && return 0
    tail -n 12 <<<"$said"
    return 1
}
# A worker that answers before the ledger has committed: without any fault it is seen by whoever reads at once.
a_lie_is_found() { broken payments.answer_early 'FAILED: ' --seconds 20 --only payments --classes zmq --kinds killed; }
# A worker that dies and whose heir looks after nothing: seen only when the nth call fails.
a_neglect_is_found() {
    broken payments.forget_recovery 'FAILED: call .*(did not become definite|webhooks of)' --seconds 20 --only payments --classes zmq --kinds killed
}

sweep=(--seconds 25)
[[ ${1:-} == --all ]] && sweep=(--jobs "${JOBS:-6}" --until 20)
echo "seed $seed"
check "the nth call fails and every payment is made once, told alike and booked" \
    "$here/sweep.sh" "${sweep[@]}" --from "$seed"
# shellcheck disable=SC2046 # words on purpose
if [[ -x $checkout/build/chaos/bin/florin-payments ]] || { cd "$checkout" && cmake --preset chaos >/dev/null &&
    nice ninja -C build/chaos $(ninja -C build/chaos -t targets all | sed -n 's/^\(bin\/florin-[a-z]*\): .*/\1/p') >/dev/null; }; then
    check "a Florin that answers before it has committed is found out" a_lie_is_found
    check "a Florin that does not look after what a death left open is found out" a_neglect_is_found
else
    check "the build with failpoints comes about" false
fi
echo "$passed passed, $failed failed"
((failed == 0))
