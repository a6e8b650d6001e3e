# For tests that bring up an instance of their own: sourced, with a name for its folder.
#
#   . tests/support/instance.sh NAME
#
# Gives $checkout, $florin, $folder, FLORIN_HOME and FLORIN_PORT (free), and takes everything down at
# the end. Counts what `check` checks; `conclude` prints the last line and ends the script.
set -uo pipefail
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
florin=${FLORIN:-$checkout/florin}
folder=$(mktemp -d "${TMPDIR:-/tmp}/florin-$1-XXXXXX")
chmod 711 "$folder" # Postgres runs as a user of its own, and must get to its cluster
passed=0
failed=0

free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)); do # below those that connections are given
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

export FLORIN_HOME=$folder/home FLORIN_PORT
FLORIN_PORT=$(free_port)
mkdir -m 711 "$FLORIN_HOME"

take_down() {
    local home
    for home in "$folder"/*/; do
        [[ -e $home/run/lock ]] && FLORIN_HOME=${home%/} "$florin" down >/dev/null 2>&1
    done
    if ((failed)) && [[ -n ${FLORIN_KEEP_LOGS:-} ]]; then
        mkdir -p "$FLORIN_KEEP_LOGS" && cp -r "$FLORIN_HOME/log" "$FLORIN_KEEP_LOGS/"
    fi
    # As root, Postgres and Redis may have their folders elsewhere; those go too.
    for home in "$folder"/*/postgres "$folder"/*/redis; do
        [[ -L $home ]] && rm -rf -- "$(readlink -f "$home")"
    done
    rm -rf -- "$folder"
}
trap take_down EXIT
trap 'exit 130' INT TERM

passes() {
    passed=$((passed + 1))
    echo "ok      $1"
}

fails() {
    failed=$((failed + 1))
    echo "FAILED  $1"
}

# check "what must be" command…: passes when the command does.
check() {
    local what=$1
    shift
    if "$@"; then passes "$what"; else fails "$what"; fi
}

# The whole of what a command said is in $said, how it ended in $code.
run() {
    code=0
    said=$("$@" 2>&1) || code=$?
}

# What `run` ran was refused by one plain sentence that has this in it.
one_sentence() {
    [[ $code -ne 0 && $said == *"$1"* && $(wc -l <<<"$said") == 1 ]] || { echo "$code: $said"; return 1; }
}

conclude() {
    echo "$passed passed, $failed failed"
    ((failed == 0))
    exit
}

up() {
    run "$florin" up --detach
    if ((code)); then
        echo "$said"
        tail -n 20 "$FLORIN_HOME"/log/*.log
        return 1
    fi
    eval "$("$florin" env)"
    export FLORIN_URL FLORIN_SECRET_KEY FLORIN_PUBLISHABLE_KEY FLORIN_ACCOUNT
}

# What a script cannot do without: need COMMAND "sentence".
need() {
    command -v "$1" >/dev/null || { echo "${0%/*}: $2" >&2; exit 1; }
}

# node_packages PACKAGE…: of the working folder's package-lock.json.
node_packages() {
    need node "node is missing (apt-get install nodejs npm)"
    [[ node_modules/.package-lock.json -nt package-lock.json ]] && return
    echo "${0%/*}: installing $* from npm"
    npm ci --no-audit --no-fund --loglevel=error || exit 1
    touch node_modules/.package-lock.json
}

# node_tests [BEGINNING…]: the files NAME.test.js of the working folder, or those whose names begin
# so; one after the other, because the last ones add up what the first ones did. Counts them.
node_tests() {
    local files=() wanted file skipped=0 code
    (($#)) || set -- ''
    for wanted in "$@"; do files+=("$wanted"*.test.js); done
    for file in "${files[@]}"; do
        code=0
        node --test --test-reporter=spec --test-reporter-destination=stdout \
            --test-reporter=tap --test-reporter-destination="$folder/tap" "$file" || code=$?
        local bad
        bad=$(sed -n 's/^# fail //p' "$folder/tap")
        passed=$((passed + $(sed -n 's/^# pass //p' "$folder/tap")))
        failed=$((failed + (code && !bad ? 1 : bad))) # a file that cannot be run fails, too
        skipped=$((skipped + $(sed -n 's/^# skipped //p' "$folder/tap")))
    done
    if ((skipped)); then echo "$skipped skipped, as said above"; fi
}

# field NAME KEY: of a process in status --json.
field() {
    "$florin" status --json | python3 -c '
import json, sys
for row in json.load(sys.stdin):
    if row["name"] == sys.argv[1]: print(row[sys.argv[2]])' "$1" "$2"
}

# pay [curl options]: a payment of the first merchant, as JSON.
pay() {
    curl -s --max-time "${patience:-30}" "$FLORIN_URL/v1/payment_intents" -u "$FLORIN_SECRET_KEY:" \
        -d amount=2000 -d currency=usd -d payment_method=pm_card_visa \
        -d "payment_method_types[]=card" -d confirm=true "$@"
}

payment_made() {
    local answer
    answer=$(pay)
    grep -qE '"status": ?"succeeded"' <<<"$answer" || { echo "$answer" | head -n 20; return 1; }
}

# within SECONDS command…
within() {
    local until=$(($(date +%s%N) / 1000000 + $1 * 1000))
    shift
    while ! "$@"; do
        (($(date +%s%N) / 1000000 < until)) || return 1
        sleep 0.02
    done
}

# sql DATABASE [psql options]: as the superuser of the private cluster.
sql() {
    local database=$1
    shift
    PGPASSWORD=$(cat "$FLORIN_HOME/secrets/postgres_florin_admin") psql -X -q -At -v ON_ERROR_STOP=1 \
        -h "$(socket_folder)" -U "${sql_role:-florin_admin}" -d "$database" "$@"
}

socket_folder() {
    dirname "$(readlink -f "$FLORIN_HOME/run/.s.PGSQL.5432")"
}
