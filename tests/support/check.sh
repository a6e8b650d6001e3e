# check PROMISE COMMAND…: whether a promise holds, said in a line and counted in $passed or $failed.
# Source it.
passed=0
failed=0

check() {
    local promise=$1
    shift
    if "$@"; then
        echo "ok: $promise"
        passed=$((passed + 1))
    else
        echo "FAILED: $promise"
        failed=$((failed + 1))
    fi
}
