#!/usr/bin/env bash
# Two partitions of the merchants: the same answers, books apart, one half goes on without the other. See
# README.md. Ends with `N passed, N failed`.
. "$(dirname "$0")/../support/instance.sh" partitions
here=$checkout/tests/partitions

tap='' sink=''
end_all() {
    kill ${tap:+"$tap"} ${sink:+"$sink"} 2>/dev/null
    take_down
}
trap end_all EXIT

settings() {
    printf '%s\n' "$@" >"$FLORIN_HOME/florin.conf"
}

databases=([1]=florin [2]=florin_2)

# merchants_of PARTITION: their accounts.
merchants_of() {
    sql "${databases[$1]}" -c "SELECT id FROM merchant ORDER BY id"
}

# Their secret keys, of those that were made here.
keys_of() {
    merchants_of "$1" | grep -Ff - "$folder/merchants" | cut -d' ' -f2
}

# as PARTITION command…: with the key of a merchant of that one.
as() {
    local FLORIN_SECRET_KEY
    FLORIN_SECRET_KEY=$(keys_of "$1" | head -n 1)
    shift
    "$@"
}

make_merchant() {
    run "$florin" merchant --name "$1"
    ((code == 0)) || { echo "$said"; return 1; }
    grep -oE '(acct|sk_test)_[0-9A-Za-z]+' <<<"$said" | paste -sd' ' >>"$folder/merchants"
}

both_have() {
    local i
    for i in $(seq 40); do
        [[ $(keys_of 1 | wc -l) -ge $1 && $(keys_of 2 | wc -l) -ge $1 ]] && return
        make_merchant "Merchant $i" || return
    done
    return 1
}

status_of() {
    curl -s -o "$folder/answer" -w '%{http_code}' --max-time 30 "$@"
}

healthy() {
    [[ $(status_of "$FLORIN_URL/health") == 200 ]]
}

settings 'partitions = 2' 'workers = 1'
run "$florin" up --detach
check "fewer workers than partitions are refused" one_sentence 'partitions = 2 and workers = 1'

settings 'partitions = 2' 'network_refund_ms = 100'
check "an instance of two comes up" up
check "each half has two ledgers" test "$("$florin" status --json | grep -c '"name":"ledger-')" -eq 4
touch "$folder/merchants"
check "merchants are made in both" both_have 2

# --- as one ---

check "a merchant of the first half is paid" as 1 payment_made
check "and one of the second" as 2 payment_made
# The first of each has paid already.
mapfile -t keys < <(for half in 1 2; do keys_of "$half" | tail -n +2; done)
check "merchants of both get the same answers" python3 "$here/same_answers.py" "$FLORIN_PORT" "${keys[@]}"
check "a key that nobody has is nobody's" test "$(status_of "$FLORIN_URL/v1/balance" -u sk_test_nobodys0000000000000:)" = 401
apart() {
    local all each
    each=$(for half in 1 2; do sql "${databases[$half]}" -c "SELECT count(DISTINCT merchant) FROM payment_intent"; done |
        paste -sd' ')
    all=$(for half in 1 2; do sql "${databases[$half]}" -c "SELECT DISTINCT merchant FROM payment_intent"; done |
        sort | uniq -d)
    [[ $each =~ ^[1-9][0-9]*\ [1-9][0-9]*$ && -z $all ]] || { echo "$each, in both: $all"; return 1; }
}
check "nobody's books are in both" apart

page_found() {
    local session
    session=$(curl -s "$FLORIN_URL/v1/checkout/sessions" -u "$FLORIN_SECRET_KEY:" -d mode=payment \
        -d success_url=https://example.com/paid -d "line_items[0][quantity]=1" \
        -d "line_items[0][price_data][currency]=usd" -d "line_items[0][price_data][unit_amount]=2000" \
        -d "line_items[0][price_data][product_data][name]=Tea" | grep -oE 'cs_test_[0-9A-Za-z]+' | head -n 1)
    [[ -n $session && $(status_of "$FLORIN_URL/v1/payment_pages/$session") == 200 ]] || { cat "$folder/answer"; return 1; }
}
check "a payer's page of the first half is found by its id alone" as 1 page_found
check "and one of the second" as 2 page_found

"$florin" tap --json --count 40 >"$folder/tap" 2>"$folder/missed" &
tap=$!
tapped() {
    as 1 payment_made && as 2 payment_made && ! kill -0 "$tap" 2>/dev/null
}
check "events of both are told" within 60 tapped
check "each half's without gaps" python3 -c '
import json, sys
heads = {}
for line in open(sys.argv[1]):
    event = json.loads(line)
    last = heads.setdefault(event["partition"], event["sequence"] - 1)
    assert event["sequence"] == last + 1, event
    heads[event["partition"]] = event["sequence"]
assert sorted(heads) == [1, 2], heads' "$folder/tap"
check "and nothing was missed" test ! -s "$folder/missed"

python3 "$here/sink.py" "$folder/sink" &
sink=$!
check "a sink listens" within 20 test -s "$folder/sink"
subscribe() {
    [[ $(status_of "$FLORIN_URL/v1/webhook_endpoints" -u "$FLORIN_SECRET_KEY:" -d "url=http://127.0.0.1:$(head -n 1 "$folder/sink")/" \
        -d "enabled_events[]=payment_intent.succeeded") == 200 ]] || { cat "$folder/answer"; return 1; }
}
heard() {
    grep -q "$1" "$folder/sink"
}
for half in 1 2; do
    check "an endpoint of half $half is made" as "$half" subscribe
    paid=$(as "$half" pay | grep -oE 'pi_[0-9A-Za-z]{24}' | head -n 1)
    check "and hears of a payment" within 30 heard "succeeded $paid"
done
kill "$sink"
sink=''

# --- apart ---

# send SIGNAL PROCESS…
send() {
    local signal=$1 name
    shift
    for name in "$@"; do kill "-$signal" "$(field "$name" pid)"; done
}
mapfile -t ledgers < <(for name in ledger-3 ledger-4; do field "$name" pid; done)
kill -STOP "${ledgers[@]}"
check "while nobody leads in the second half, the first is paid" as 1 payment_made
check "and health says that not all is well" within 20 eval '! healthy'
kill -CONT "${ledgers[@]}"
check "it leads again" within 60 as 2 payment_made
send KILL payments-2 ledger-3
check "the second half's worker and a ledger are killed: it pays again" within 60 as 2 payment_made
check "and all is well" within 60 healthy

# --- together again ---

audited() {
    run "$florin" audit --wait 20
    ((code == 0)) || { grep -v '^ok' <<<"$said" | head -n 5; return 1; }
}
check "the audit finds nothing in either" audited
sql florin_2 -c "UPDATE balance SET amount = amount + 1 WHERE merchant = (SELECT min(merchant) FROM payment_intent)" >/dev/null
run "$florin" audit
check "it does look at the second" test "$code" -eq 1
sql florin_2 -c "UPDATE balance SET amount = amount - 1 WHERE merchant = (SELECT min(merchant) FROM payment_intent)" >/dev/null
check "and is content again" audited

run "$florin" backup --to "$folder/backup"
check "a backup has both" test -s "$folder/backup/books/florin.dump" -a -s "$folder/backup/books/florin_2.dump"
original=$FLORIN_HOME
run "$florin" restore "$folder/backup" --home "$folder/copy"
check "and is brought back" test "$code" -eq 0
((code == 0)) || echo "$said"
run "$florin" down
export FLORIN_HOME=$folder/copy
run "$florin" up --detach
check "it comes up" test "$code" -eq 0
check "its second half is paid" as 2 payment_made
check "its books are well" audited
run "$florin" down
export FLORIN_HOME=$original

settings 'partitions = 1'
run "$florin" up --detach
check "merchants do not become another half's: fewer are refused" one_sentence 'The database florin is of partition 1 of 2'
settings 'partitions = 3' 'workers = 3' 'webhook_workers = 3'
run "$florin" up --detach
check "and so are more" one_sentence 'The database florin is of partition 1 of 2'
conclude
