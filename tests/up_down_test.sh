#!/usr/bin/env bash
# A newcomer's day, and an operator's: up, a payment, status, trouble of all kinds, down. Brings up
# an instance of its own; leaves nothing behind. Ends with `N passed, N failed`.
set -uo pipefail
florin=${FLORIN:-$(dirname "$(readlink -f "$0")")/../florin}
folder=$(mktemp -d /tmp/florin-up-down-XXXXXX)
chmod 755 "$folder"
passed=0
failed=0

free_port() {
    local port
    while port=$((20000 + RANDOM % 20000)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

export FLORIN_HOME=$folder/home FLORIN_PORT
FLORIN_PORT=$(free_port)

finish() {
    "$florin" down >/dev/null 2>&1
    FLORIN_HOME=$folder/other "$florin" down >/dev/null 2>&1
    rm -rf -- "$folder"
}
trap finish EXIT

# check "what must be" command…: passes when the command does.
check() {
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok      $what"
    else
        failed=$((failed + 1))
        echo "FAILED  $what"
    fi
}

# The whole of what a command said, and how it ended.
run() {
    code=0
    said=$("$@" 2>&1) || code=$?
}

one_sentence() {
    [[ $code -ne 0 && $said == *"$1"* && $(wc -l <<<"$said") == 1 ]] || { echo "$code: $said"; return 1; }
}

# Nothing whose command line names that folder.
nothing_runs() {
    local file command found=''
    for file in /proc/[0-9]*/cmdline; do
        command=$({ tr '\0' ' ' <"$file"; } 2>/dev/null) || continue
        [[ $command == *"$1"* && $file != /proc/$$/* ]] && found+="${file%/cmdline} $command"$'\n'
    done
    [[ -z $found ]] || { printf '%s' "$found"; return 1; }
}

# field NAME KEY: of a process in status --json.
field() {
    "$florin" status --json | python3 -c '
import json, sys
for row in json.load(sys.stdin):
    if row["name"] == sys.argv[1]: print(row[sys.argv[2]])' "$1" "$2"
}

status_has_its_shape() {
    "$florin" status --json | python3 -c '
import json, sys
rows = json.load(sys.stdin)
names = {row["name"] for row in rows}
wanted = {"postgres", "redis", "ledger-1", "ledger-2", "vault-1", "network-1", "webhooks-1",
          "webhooks-2", "payments-1", "payments-2", "broker-1", "gateway-1"}
assert wanted <= names, wanted - names
for row in rows:
    assert set(row) == {"name", "pid", "state", "restarts", "uptime_s"}, row
    assert row["pid"] > 0 and row["restarts"] == 0 and row["uptime_s"] >= 0, row
    assert row["state"] in ("running", "serving", "standby"), row
assert sorted(row["state"] for row in rows if row["name"].startswith("ledger")) == ["serving", "standby"]
'
}

pay() {
    curl -s --max-time "${patience:-20}" "$FLORIN_URL/v1/payment_intents" -u "$FLORIN_SECRET_KEY:" \
        -d amount=2000 -d currency=usd -d payment_method=pm_card_visa \
        -d "payment_method_types[]=card" -d confirm=true "$@"
}

serves() {
    [[ $(curl -s --max-time 2 -o /dev/null -w '%{http_code}' "$FLORIN_URL/health") == 200 ]]
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

# --- a first start ---

run "$florin" status
check "status says that nothing runs yet" test "$code" -ne 0

run "$florin" up --detach
check "up --detach returns 0" test "$code" -eq 0
[[ $code -eq 0 ]] || { echo "$said"; tail -n 20 "$FLORIN_HOME"/log/*.log; }
check "it shows a curl line to try" grep -q "curl http://.*/v1/payment_intents" <<<"$said"

eval "$("$florin" env)"
check "env names the account" grep -qE '^acct_[0-9A-Za-z]+$' <<<"$FLORIN_ACCOUNT"
check "env has both keys" grep -qE '^sk_test_[0-9A-Za-z]{32} pk_test_[0-9A-Za-z]{32}$' \
    <<<"$FLORIN_SECRET_KEY $FLORIN_PUBLISHABLE_KEY"
check "status --json has its shape" status_has_its_shape

payment=$(pay)
check "a payment succeeds" grep -qE '"status": ?"succeeded"' <<<"$payment"
payment_id=$(grep -oE 'pi_[0-9A-Za-z]{24}' <<<"$payment" | head -n 1)

no_secret_is_readable() {
    local open
    open=$(find "$FLORIN_HOME/keys" "$FLORIN_HOME/secrets" -type f ! -name '*.pub' -perm /177)
    [[ -z $open ]] || { echo "$open"; return 1; }
}
check "keys and secrets are for their owner alone" no_secret_is_readable

postgres_is_not_root() {
    local owner
    owner=$(stat -c %U "/proc/$(field postgres pid)")
    ((EUID != 0)) || [[ $owner != root ]]
}
check "Postgres does not run as root" postgres_is_not_root

# --- asking ---

run "$florin" call --to broker-1 ping
check "call gets an answer from the broker" grep -q '^state=serving$' <<<"$said"
run "$florin" call --json health
check "call --json prints JSON" python3 -c 'import json, sys; assert json.loads(sys.argv[1])["body"]["serving"] == 1' "$said"
run "$florin" call commit epoch=1
check "call refuses what our roles may not send" one_sentence "sent by payments"
run "$florin" call health nonsense=1
check "call names a field that is not there" one_sentence "nonsense"

"$florin" tap --json --count 1 >"$folder/tap" 2>&1 &
tap=$!
an_event_was_heard() {
    pay >/dev/null
    [[ -s $folder/tap ]]
}
check "tap prints an event" within 10 an_event_was_heard
wait "$tap"
check "tap --json prints JSON" python3 -c '
import json, sys
event = json.loads(open(sys.argv[1]).readline())
assert event["sequence"] > 0 and event["id"].startswith("evt_")' "$folder/tap"

run "$florin" logs payments-1
check "logs shows a log" test -n "$said"
run "$florin" logs nobody-1
check "logs names the processes that there are" one_sentence "ledger-1"
run "$florin" audit --wait 10
check "audit is clean" test "$code" -eq 0
[[ $code -eq 0 ]] || echo "$said"

# --- trouble ---

payment_made() {
    grep -qE '"status": ?"succeeded"' <<<"$(pay)"
}

run "$florin" up --detach
check "a second up of the same home is refused" one_sentence "already running"

FLORIN_HOME=$folder/other run "$florin" up --detach
check "a port that is taken is one sentence" one_sentence "Port $FLORIN_PORT"
check "and nothing was started" nothing_runs "$folder/other"

mkdir -p "$folder/corrupt"
printf 'port = 80000000\n' >"$folder/corrupt/florin.conf"
FLORIN_HOME=$folder/corrupt run "$florin" up --detach
check "a corrupt setting is one sentence with its line" one_sentence "line 1"

for name in gateway-1 broker-1 payments-1 ledger-1 ledger-2 vault-1 network-1 webhooks-1 redis; do
    old=$(field "$name" pid)
    kill -9 "$old"
    another_pid() {
        local new
        new=$(field "$name" pid)
        [[ -n $new && $new != 0 && $new != "$old" ]]
    }
    check "$name is started again after kill -9" within 5 another_pid
    check "and a payment can be made within 2 s" within 2 payment_made
done
old=$(field postgres pid)
kill -9 "$old"
check "a payment can be made within 5 s of the death of Postgres" within 5 payment_made

# --- the supervisor dies ---

old=$(field gateway-1 pid)
supervisor=$(cat "$FLORIN_HOME/run/lock")
kill -9 "$supervisor"
check "the others go on without their supervisor" serves
run "$florin" up --detach
check "another one takes over" test "$code" -eq 0
check "and leaves running what runs" test "$(field gateway-1 pid)" = "$old"

# --- down and up ---

run "$florin" down
check "down returns 0" test "$code" -eq 0
check "no process is left" nothing_runs "$FLORIN_HOME"
run "$florin" down
check "down of what is down returns 0" test "$code" -eq 0

run "$florin" up --detach
check "up again" test "$code" -eq 0
secret_key=$FLORIN_SECRET_KEY
eval "$("$florin" env)"
check "the first merchant is the same" test "$secret_key" = "$FLORIN_SECRET_KEY"
the_payment_is_there() {
    curl -s --max-time 10 "$FLORIN_URL/v1/payment_intents/$payment_id" -u "$FLORIN_SECRET_KEY:" |
        grep -qE '"status": ?"succeeded"'
}
check "what was paid is paid" the_payment_is_there

kill -9 "$(cat "$FLORIN_HOME/run/lock")"
run "$florin" down
check "down works without a supervisor" test "$code" -eq 0
check "no process is left then either" nothing_runs "$FLORIN_HOME"

echo "$passed passed, $failed failed"
((failed == 0))
