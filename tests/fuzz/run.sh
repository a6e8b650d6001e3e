#!/usr/bin/env bash
# The fuzzers, briefly: the seeds are replayed, each fuzzer goes on from them for some seconds, and
# each mutant (a parser broken on purpose) must be found.
#
#   ./run.sh                 all, about a minute
#   FUZZ_SECONDS=60 ./run.sh form json     a minute for each of these two, without mutants
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/fuzz.sh"

command -v clang >/dev/null || { echo "tests/fuzz: clang is missing (apt-get install clang libclang-rt-14-dev)" >&2; exit 1; }
fuzz_build_all || exit 1
names=("$@")
[[ $# -gt 0 ]] || mapfile -t names < <(fuzz_names)
seconds=${FUZZ_SECONDS:-6}
logs=$fuzz_build/logs
mkdir -p "$logs"
passed=0 failed=0
say() {
    if [[ $1 == ok ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    printf '%-6s %s\n' "$1" "$2"
}

# Two at a time; each leaves its code in a file.
in_pairs() {
    local function=$1 item
    shift
    for item; do
        while (($(jobs -rp | wc -l) >= 2)); do wait -n || true; done
        { "$function" "$item" >"$logs/$item.log" 2>&1; echo $? >"$logs/$item.code"; } &
    done
    wait
}

go_on() {
    local folders
    mapfile -t folders < <(fuzz_folders "$1")
    mkdir -p "$fuzz_build/corpus/$1"
    fuzz_one "fuzz-$1" "$1" -max_total_time="$seconds" "$fuzz_build/corpus/$1" "${folders[@]}"
}
in_pairs go_on "${names[@]}"
for name in "${names[@]}"; do
    log=$logs/$name.log
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    seeds=$(fuzz_folders "$name" | xargs -I{} find {} -type f | wc -l)
    if [[ $(cat "$logs/$name.code") == 0 && -n $runs && $runs -gt $seeds ]]; then
        say ok "$name: $seeds seeds and ${runs} inputs in all, ${edges:-?} edges"
    else
        grep -E 'it does not hold|ERROR|runtime error|SUMMARY|Assertion|Test unit written' "$log" | head -n 6
        say FAILED "$name: what broke it is in build/fuzz/found, all it said in $log"
    fi
done

if [[ $# -eq 0 ]]; then
    # One fixed seed of chance, so that a mutant that was found is found again.
    meet() {
        local name folders
        name=$(sed -n "s/^$1  *\([a-z_]*\) .*/\1/p" "$fuzz_here/mutants.txt")
        mapfile -t folders < <(fuzz_folders "$name")
        # Its own folder first: whatever is new goes there, and nowhere among the seeds.
        mkdir -p "$fuzz_build/corpus/mutant-$1"
        fuzz_one "mutant-$1" "$name" -seed=1 -max_total_time=60 "$fuzz_build/corpus/mutant-$1" "${folders[@]}"
    }
    mapfile -t mutants < <(sed -n 's/^\([a-z_]*\) .*/\1/p' "$fuzz_here/mutants.txt")
    rm -rf "$fuzz_build"/corpus/mutant-*
    in_pairs meet "${mutants[@]}"
    for mutant in "${mutants[@]}"; do
        if [[ $(cat "$logs/$mutant.code") != 0 ]] &&
            why=$(grep -m 1 -oE 'it does not hold that.*|AddressSanitizer: [a-z-]+|Assertion .* failed|runtime error: .*' "$logs/$mutant.log"); then
            say ok "mutant $mutant is found: $why"
        else
            say FAILED "mutant $mutant was not found"
        fi
    done
    rm -f "$fuzz_build"/found/mutant-*
fi
echo "$passed passed, $failed failed"
((failed == 0))
