#!/bin/bash
# Checks the models exhaustively, each mutant of each, and that models and C code agree. README.md
# says what is proved and how to read the lines.
#
#   tests/models/run.sh            everything; ends with "N passed, N failed"
#   tests/models/run.sh outbox     the runs of one model
#   tests/models/run.sh --trail payment -DNO_BEGIN     the steps that lead to what a mutant does wrong
set -u
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../.." && pwd)
build=$checkout/build/release
command -v spin >/dev/null || { echo "tests/models: spin is missing (apt-get install spin)" >&2; exit 1; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/florin-models.XXXXXX")
trap 'rm -rf "$folder"' EXIT

# model : what must come out : defines : what it lacks, or what the run is about
runs=$(sed -e 's/#.*//' -e '/^\s*$/d' "$here/runs.txt")

# Where SPIN and the compiler leave their files: one folder a run.
make_pan() {
    local at=$1 model=$2 optimize=$3
    shift 3
    mkdir -p "$at" && cp "$here"/*.pml "$at" && cd "$at" || return 1
    spin -a "$@" "$model.pml" >spin.log 2>&1 || { cat spin.log; return 1; }
    gcc "$optimize" -w -DSAFETY -DVECTORSZ=2048 -DMEMLIM=4000 -o pan pan.c
}

# One run: a line in $folder/N.line, and "passed" or "failed" in $folder/N.is.
check() {
    local number=$1 model=$2 expected=$3 defines=$4 words=$5 at=$folder/$1 errors states depth seconds is=failed optimize=-O2
    # A mutant is found out at once: compiling it well would take longer than the search.
    [ "$expected" = holds ] || optimize=-O0
    # shellcheck disable=SC2086 # words on purpose
    if (make_pan "$at" "$model" $optimize $defines && cd "$at" && timeout 240 ./pan -m3000000 >out 2>&1); then :; fi
    errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' "$at/out" 2>/dev/null)
    depth=$(sed -n 's/.*depth reached \([0-9]*\).*/\1/p' "$at/out" 2>/dev/null)
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$at/out" 2>/dev/null)
    seconds=$(sed -n 's/^pan: elapsed time \([0-9.e+]*\) seconds/\1/p' "$at/out" 2>/dev/null)
    # A search that was cut short proves nothing.
    if grep -qE 'max search depth too small|out of memory|Search not completed' "$at/out" 2>/dev/null && [ "${errors:-}" = 0 ]; then errors='cut'; fi
    if [ "$expected" = holds ] && [ "${errors:-}" = 0 ]; then is=passed; fi
    if [ "$expected" = fails ] && [ "${errors:-0}" -ge 1 ] 2>/dev/null && grep -q 'assertion violated' "$at/out"; then is=passed; fi
    printf '%-6s %-9s %s  %9s states  depth %6s  %6s s  %s (%s)\n' "$is" "$model" "$expected" "${states:-none}" \
        "${depth:-?}" "${seconds:-?}" "$words" "$defines" >"$folder/$number.line"
    [ $is = passed ] || { tail -n 5 "$at/out" "$at/spin.log" 2>/dev/null | sed 's/^/        /' >>"$folder/$number.line"; }
    echo $is >"$folder/$number.is"
    cat "$folder/$number.line"
    rm -rf "$at"
}

if [ "${1:-}" = --trail ]; then
    model=$2
    shift 2
    make_pan "$folder/trail" "$model" -O1 "$@" || exit 1
    cd "$folder/trail" || exit 1
    timeout 240 ./pan -m3000000 | grep -E 'assertion|errors:'
    timeout 60 spin -t -p "$@" "$model.pml"
    exit
fi

# --- the C code says what the models say ------------------------------------------------------------

make_tables() { # OUTPUT, then source files that stand in for those of the libraries
    local output=$1
    shift
    # shellcheck disable=SC2046 # words on purpose
    gcc -std=gnu17 -D_GNU_SOURCE -O1 -w -I"$checkout/common/core" -I"$checkout/common/proto" -I"$checkout/common/io" \
        -I"$checkout/actors/payments" -I"$checkout/actors/ledger" -I"$checkout/actors/network" -I"$checkout/actors/cards" \
        -I"$checkout/broker" $(pkg-config --cflags libpq libczmq libzmq msgpack libsodium) \
        "$here/tables.c" "$@" -o "$output" "$build/actors/payments/libpayments.a" "$build/actors/ledger/libledger.a" \
        "$build/actors/network/libnetwork.a" "$build/actors/network/libjournal.a" "$build/actors/cards/libcards.a" \
        "$build/broker/libbroker.a" "$build/common/io/libio.a" "$build/common/proto/libproto.a" \
        "$build/common/core/libcore.a" $(pkg-config --libs libpq libczmq libzmq msgpack libsodium lmdb liblz4)
}
agrees() { # TABLES: every assertion holds
    (mkdir -p "$1.at" && cp "$here/florin.pml" "$1.at" && cd "$1.at" && "$1" >drift.pml 2>count && [ "$(cat count)" -gt 1000 ] &&
        timeout 60 spin -T drift.pml >out 2>&1 && ! grep -q 'assertion violated\|Error' out)
}
bend() { # FILE, sed script: a copy that was changed, and really was
    sed "$2" "$checkout/$1" >"$folder/bent.c"
    ! cmp -s "$folder/bent.c" "$checkout/$1"
}
passed=0
failed=0
say() { # verdict, words
    if [ "$1" = 0 ]; then passed=$((passed + 1)); echo "passed $2"; else failed=$((failed + 1)); echo "failed $2"; fi
}
if [ $# -eq 0 ]; then
    make_tables "$folder/tables" && agrees "$folder/tables"
    say $? "the C code agrees with florin.pml in $(cat "$folder/tables.at/count" 2>/dev/null) cases"
    # A change of the code that the models do not know of is noticed.
    while IFS='|' read -r file script words; do
        bend "$file" "$script" && make_tables "$folder/bent" "$folder/bent.c" && [ -x "$folder/bent" ] && ! agrees "$folder/bent"
        say $? "noticed when the code changes: $words"
        rm -rf "$folder/bent" "$folder/bent.at"
    done <<'BENT'
common/core/attempt.c|s/\[ATTEMPT_REVERSING\]\[ATTEMPT_ON_TAKEN_OVER\] .*/&\n [ATTEMPT_REVERSING][ATTEMPT_ON_ANSWERED_APPROVED] = ATTEMPT_APPROVED,/|an approval is booked although it is being reversed
actors/ledger/books.c|s/if (!c->commit.repeated) return false;//|a command is taken for written though it never was sent before
actors/payments/attempts_engine.c|s/\[OUTCOME_NOT_FOUND\] = NEXT_REVERSE/[OUTCOME_NOT_FOUND] = NEXT_FINISH/|"not found" is taken for an answer
actors/payments/commits.c|s/return after == AFTER_BUSY \&\& repeated ? AFTER_REPEAT : after;/return after;/|"busy" is believed of a command sent before
common/core/refund.c|s/ - charge->refunding;/;/|what is being refunded can be refunded again
broker/owners.c|s/    slot_remove(owners->held, slot);//|a slot that was let go counts as granted
BENT
fi

# --- the models ---------------------------------------------------------------------------------------

begun=$(date +%s)
number=0
while IFS=: read -r model expected defines words; do
    model=${model// /} expected=${expected// /} words=${words# }
    [ $# -eq 0 ] || [[ " $* " == *" $model "* ]] || continue
    number=$((number + 1))
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
    check "$number" "$model" "$expected" "$defines" "$words" &
done <<<"$runs"
wait
for ((i = 1; i <= number; i++)); do
    if [ "$(cat "$folder/$i.is" 2>/dev/null)" = passed ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$number searches in $(($(date +%s) - begun)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
