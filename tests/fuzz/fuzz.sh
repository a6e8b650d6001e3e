# fuzz.sh: what run.sh and `./florin fuzz` share: building the fuzzers and running one. To be sourced.

fuzz_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
fuzz_checkout=$(cd "$fuzz_here/../.." && pwd)
fuzz_build=$fuzz_checkout/build/fuzz

fuzz_names() {
    sed -n 's/^\([a-z_]*\) .*/\1/p' "$fuzz_here/targets.txt"
}

# fuzz_build_all: the fuzzers, their mutants, and the seeds that are made.
fuzz_build_all() {
    local log=$fuzz_checkout/build/fuzz.log
    mkdir -p "$fuzz_build"
    (
        flock 9
        { [[ -e $fuzz_build/build.ninja ]] ||
            cmake -S "$fuzz_here" -B "$fuzz_build" -G Ninja -DCMAKE_C_COMPILER=clang; } >"$log" 2>&1 &&
            ninja -C "$fuzz_build" >>"$log" 2>&1
    ) 9>"$fuzz_checkout/build/fuzz.lock" || {
        grep -E 'error|FAILED|undefined' "$log" | head -n 20 >&2 || tail -n 20 "$log" >&2
        echo "The fuzzers could not be built; $log has it all." >&2
        return 1
    }
    mkdir -p "$fuzz_build/seeds/message" "$fuzz_build/seeds/row" "$fuzz_build/found"
    "$fuzz_build/bin/make_seeds" "$fuzz_build/seeds"
}

# fuzz_folders NAME: where its seeds are; those that are kept first.
fuzz_folders() {
    local folder
    for folder in "$fuzz_here/seeds/$1" "$fuzz_build/seeds/$1"; do
        [[ -d $folder ]] && printf '%s\n' "$folder"
    done
}

# fuzz_one PROGRAM NAME ARGUMENT…: a run; what breaks it is left in build/fuzz/found/PROGRAM-….
fuzz_one() {
    local program=$1 name=$2 length dictionary=()
    shift 2
    length=$(sed -n "s/^$name  *\([0-9]*\) .*/\1/p" "$fuzz_here/targets.txt")
    [[ -e $fuzz_here/dictionaries/$name.dict ]] && dictionary=(-dict="$fuzz_here/dictionaries/$name.dict")
    UBSAN_OPTIONS=print_stacktrace=1 "$fuzz_build/bin/$program" -max_len="$length" -timeout=10 \
        -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$fuzz_build/found/$program-" \
        "${dictionary[@]}" "$@"
}
