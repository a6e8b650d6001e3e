#!/usr/bin/env bash
# A database of an older Florin is brought up to date by `up`, with all that was in it; one of a newer
# Florin is left alone. See README.md. Ends with `N passed, N failed`.
. "$(dirname "$0")/../support/instance.sh" upgrade
here=$checkout/tests/upgrade

catalog() {
    sql "$1" -f "$here/catalog.sql"
}

same_catalog() {
    diff <(echo "$1") <(echo "$2") | head -n 60
    [[ -n $1 && $1 == "$2" ]]
}

# apply DATABASE FOLDER: the files of a Florin, as its supervisor runs them.
apply() {
    local file
    for file in tables schema roles; do
        PGOPTIONS='-c client_min_messages=warning' sql "$1" -1 -f "$2/$file.sql" >/dev/null || return 1
    done
}

check "an instance comes up" up
payment=$(pay)
payment_id=$(grep -oE 'pi_[0-9A-Za-z]{24}' <<<"$payment" | head -n 1)
check "a payment is made in it" grep -qE '"status": ?"succeeded"' <<<"$payment"
fresh=$(catalog florin)

# --- the database of version 1, as its files made it ---

sql postgres -c "CREATE DATABASE florin_older TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'" >/dev/null
check "the files of version 1 make a database" apply florin_older "$here/version-1"
check "today's files can be run on it" apply florin_older "$checkout/etc"
check "and make of it what a fresh one is" same_catalog "$fresh" "$(catalog florin_older)"
check "a second time they change nothing" apply florin_older "$checkout/etc"
check "and it is the same still" same_catalog "$fresh" "$(catalog florin_older)"

# The check that just passed, against files in which a column was forgotten.
mutant=$folder/mutant
mkdir "$mutant"
cp "$checkout"/etc/*.sql "$mutant"
sed -i -e '/^ALTER TABLE merchant$/,/;$/s/\("api_version".*\),$/\1;/' -e '/told_version/d' "$mutant/tables.sql"
sql florin_older -c 'ALTER TABLE merchant DROP COLUMN told_version' >/dev/null
check "a column is forgotten in them" apply florin_older "$mutant"
check "a forgotten ALTER TABLE is caught" test "$(catalog florin_older)" != "$fresh"

# --- a whole instance with less in its tables ---

# Its books as version 4 had them: a table of lines.
sql florin >/dev/null <<'SQL'
CREATE TEMPORARY TABLE kept AS SELECT * FROM entry;
DROP VIEW entry;
ALTER TABLE entry_until_version_4 RENAME TO entry;
ALTER TABLE entry RENAME CONSTRAINT entry_until_version_4_pkey TO entry_pkey;
ALTER TABLE entry RENAME CONSTRAINT entry_until_version_4_currency_check TO entry_currency_check;
ALTER TABLE entry RENAME CONSTRAINT entry_until_version_4_amount_check TO entry_amount_check;
INSERT INTO entry SELECT * FROM kept;
CREATE FUNCTION entry_must_balance() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER entry_must_balance AFTER INSERT ON entry REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION entry_must_balance();
ALTER TABLE ledger_transaction DROP COLUMN currency, DROP COLUMN accounts, DROP COLUMN amounts;
DROP FUNCTION lines_balance(bigint, text, bigint[]);
SQL
books() {
    sql florin -c 'SELECT * FROM entry ORDER BY transaction, line'
}
its_books=$(books)
# Two lines of the payment at least, each with six columns.
check "there is something in its books" test "$(tr -cd '|' <<<"$its_books" | wc -c)" -ge 10

# Its events as version 5 had them: a row each, and of the payment's first only what differs from its last.
the_events() {
    curl -s --max-time 20 "$FLORIN_URL/v1/events?limit=100" -u "$FLORIN_SECRET_KEY:"
}
its_events=$(the_events)
sql florin -v events="$its_events" >/dev/null <<'SQL'
CREATE TEMPORARY TABLE kept AS SELECT e.*, t.value #>> '{data,object}' AS data, t.value #>> '{data,previous_attributes}' AS previous
    FROM event e JOIN jsonb_array_elements((:'events'::jsonb)->'data') t ON t.value->>'id' = e.id;
DROP FUNCTION event_at(bigint), event_named(text, text);
DROP VIEW event;
DROP TABLE outbox;
CREATE TABLE event (sequence bigint PRIMARY KEY, id text NOT NULL, merchant text NOT NULL, type text NOT NULL,
    object text NOT NULL, data text NOT NULL, previous text, created bigint NOT NULL, api_version text NOT NULL,
    request text, key text, differs_from bigint, place smallint NOT NULL DEFAULT 0);
INSERT INTO event SELECT sequence, id, merchant, type, object, data, previous, created, api_version, request, key,
    NULL, nth - 1 FROM kept;
UPDATE event e SET data = json_build_object('status', e.data::json->>'status',
    'latest_charge', e.data::json->>'latest_charge', 'amount_received', (e.data::json->>'amount_received')::bigint),
    differs_from = w.sequence
    FROM event w WHERE w.object = e.object AND e.type = 'payment_intent.created' AND w.type = 'payment_intent.succeeded';
SQL
check "some of them lean on others" test "$(sql florin -c 'SELECT count(differs_from) FROM event')" = 1

# What an instance of long ago lacks: columns of every kind, an index, a check, a table, a grant, a
# trigger's function in its old form, and the note which files were run.
#
# And a payment that an older Florin was in the middle of: its first commit had written the payment
# itself, and the attempt bears nothing.
open_id=${payment_id%????}open
sql florin -v payment="$payment_id" -v open="$open_id" >/dev/null <<'SQL'
INSERT INTO attempt SELECT (jsonb_populate_record(a, jsonb_build_object('id', left(a.id, -4) || 'open', 'version', 1,
    'state', 'sending', 'payment_intent', :'open', 'charge', left(a.charge, -4) || 'open', 'key', null,
    'network_id', null))).* FROM attempt a WHERE payment_intent = :'payment';
INSERT INTO payment_intent SELECT (jsonb_populate_record(p, jsonb_build_object('id', :'open', 'version', 1,
    'status', 'processing', 'amount_received', 0, 'latest_charge', null, 'attempt', a.id))).*
    FROM payment_intent p, attempt a WHERE p.id = :'payment' AND a.payment_intent = :'open';
DROP VIEW every_attempt, attempt_under_way;
DROP TABLE open_attempt;
ALTER TABLE attempt DROP COLUMN staged;
ALTER TABLE merchant DROP COLUMN told_version;
ALTER TABLE customer DROP COLUMN default_source;
ALTER TABLE payment_method DROP COLUMN set_up;
ALTER TABLE api_key DROP COLUMN permissions;
DROP INDEX payment_method_customer;
DROP TABLE confirmation_token;
ALTER TABLE refund DROP CONSTRAINT refund_amount_check;
REVOKE SELECT ON charge FROM payments;
ALTER TABLE florin_meta.schema_version DROP COLUMN files;
UPDATE florin_meta.schema_version SET version = 1;
SQL
"$florin" down >/dev/null
check "up takes an older database" up
check "and makes of it what a fresh one is" same_catalog "$fresh" "$(catalog florin)"
the_payment_is_there() {
    curl -s --max-time 20 "$FLORIN_URL/v1/payment_intents/$payment_id" -u "$FLORIN_SECRET_KEY:" |
        grep -qE '"status": ?"succeeded"'
}
check "what was in it is in it" the_payment_is_there
# Each by its id (there are more of them by now), whatever the order of its members.
the_same_is_told() {
    python3 - "$FLORIN_URL" "$FLORIN_SECRET_KEY" "$its_events" <<'PY'
import json, sys, urllib.request
url, key, told = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])["data"]
assert len(told) >= 4, told
for event in told:
    request = urllib.request.Request(f"{url}/v1/events/{event['id']}", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer) == event, event
PY
}
check "and its events tell what they told" the_same_is_told
check "and the same stands in its books" test "$(books)" = "$its_books"
# The network knows nothing of it, so it is reversed, and waits for another card.
the_open_one_has_ended() {
    local end=$((SECONDS + 60))
    until [[ $(sql florin -c "SELECT p.status || ' ' || a.state FROM payment_intent p JOIN attempt a ON a.payment_intent = p.id
        WHERE p.id = '$open_id'") == "requires_payment_method reversed" ]]; do
        ((SECONDS < end)) || return 1
        sleep 0.2
    done
}
check "what was under way in it comes to its end" the_open_one_has_ended
check "and a payment can be made" payment_made
run "$florin" audit --wait 20
check "the audit is clean" test "$code" -eq 0
((code == 0)) || echo "$said"

# --- newer ones ---

refused() {
    run "$florin" up --detach
    one_sentence "$1" && [[ ! -S $FLORIN_HOME/run/.s.PGSQL.5432 ]]
}

sql florin -c 'UPDATE florin_meta.schema_version SET version = 99' >/dev/null
"$florin" down >/dev/null
check "a database of a newer version is refused, and nothing is left running" refused "version 99 of the schema"

# Nothing runs now; Postgres alone, to undo it.
alone() {
    local cluster program
    cluster=$(readlink -f "$FLORIN_HOME/postgres")/cluster
    program=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    local as=()
    ((EUID)) || as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    (cd / && "${as[@]}" "$program/pg_ctl" -D "$cluster" -w -s "$@" >/dev/null)
}
alone start -l /dev/null
sql florin -c 'UPDATE florin_meta.schema_version SET version = 2' \
    -c 'ALTER TABLE charge ADD COLUMN from_the_future text' >/dev/null
alone stop
check "so is one with a column that this program would lose" refused "charge.from_the_future"
alone start -l /dev/null
sql florin -c 'ALTER TABLE charge DROP COLUMN from_the_future' >/dev/null
alone stop
check "and without it, up" up
check "a payment can be made again" payment_made
conclude
