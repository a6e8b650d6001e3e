#!/usr/bin/env bash
# A backup taken while people pay, brought back elsewhere, is a whole Florin; one that is not whole is
# refused. See README.md. Ends with `N passed, N failed`.
. "$(dirname "$0")/../support/instance.sh" backup
here=$checkout/tests/backup
original=$FLORIN_HOME original_port=$FLORIN_PORT
copy=$folder/copy copy_port=$(free_port)

# Slow enough that there are always some under way.
printf 'network_delay_ms = 20\n' >"$FLORIN_HOME/florin.conf"

# paid_before SECONDS: how many payments had been answered by then, and their ids in $folder/ids.
answered_by() {
    awk -v by="$1" '$1 <= by { print $2, $3 }' "$folder/answers" >"$folder/ids"
    wc -l <"$folder/ids"
}

# Every payment of $folder/ids is in that instance as it was answered.
all_there() {
    sql florin -c "SELECT id || ' ' || amount FROM payment_intent WHERE status = 'succeeded'" | sort >"$folder/there"
    sort "$folder/ids" | comm -23 - "$folder/there" | head -n 3 | grep . && return 1
    return 0
}

of_copy() {
    FLORIN_HOME=$copy FLORIN_PORT=$copy_port "$@"
}

audit_of_copy() {
    run of_copy "$florin" audit --wait 20
    ((code == 0)) || { grep -v '^ok' <<<"$said" | head -n 5; return 1; }
}

closed_to_others() {
    local open
    open=$(find "$1" -perm /077)
    [[ -z $open ]] || { echo "$open" | head -n 5; return 1; }
}

check "an instance comes up" up
mkfifo "$folder/stop"
: >"$folder/answers"
python3 "$here/payers.py" "$FLORIN_URL" "$FLORIN_SECRET_KEY" "$folder/answers" 6 <"$folder/stop" &
payers=$!
exec 8>"$folder/stop"
have_paid() {
    [[ $(wc -l <"$folder/answers") -ge $1 ]]
}
check "six people pay and go on paying" within 60 have_paid 40
run cp "$FLORIN_HOME/network/data.mdb" "$folder/older.book" # for later: a book of another moment
check "some more is paid" within 60 have_paid 80
began=$(date +%s.%N)
run "$florin" backup --to "$folder/backup"
check "a backup is taken" test "$code" -eq 0
((code == 0)) || echo "$said"
paid=$(wc -l <"$folder/answers")
during=$((paid - $(answered_by "$began")))
check "and people pay during it ($during of $paid answers)" test "$during" -gt 0
run "$florin" backup --json
check "one goes into the instance's own folder, and says so as JSON" python3 -c '
import json, os, sys
said = json.loads(sys.argv[1])
assert said["files"] > 30 and said["bytes"] > 10000 and os.path.exists(said["folder"] + "/manifest")
assert said["folder"].startswith(sys.argv[2])' "$said" "$FLORIN_HOME/backups/"
echo >&8
wait "$payers"
check "everything in it is for its owner alone" closed_to_others "$folder/backup"
# By their bytes, which are any: a line of one may be empty or two letters long.
no_keys_in() {
    python3 - "$@" "$FLORIN_HOME"/secrets/* "$FLORIN_HOME"/keys/*.key <<'END'
import os, sys
folders = [name for name in sys.argv[1:] if os.path.isdir(name)]
secrets = {name: open(name, "rb").read() for name in sys.argv[1:] if os.path.isfile(name)}
for name in secrets:  # text has its secret in its first line, and ends with a line's end
    if name.endswith(".key") or secrets[name].isascii():
        secrets[name] = secrets[name].split(b"\n")[0]
assert folders and secrets and all(len(secret) >= 16 for secret in secrets.values())
files = [os.path.join(at, name) for folder in folders for at, _, names in os.walk(folder) for name in names]
contents = [open(name, "rb").read() for name in files]
found = [name for name, secret in secrets.items() if any(secret in content for content in contents)]
print(*found, sep="\n")
sys.exit(bool(found))
END
}
check "no secret is in its books and its vault" no_keys_in "$folder/backup/books" "$folder/backup/vault" 2>/dev/null
run "$florin" audit --wait 20
check "the instance itself is well" test "$code" -eq 0

# --- brought back elsewhere ---

# The three folders lie in three places by now.
mv "$folder/backup/keys" "$folder/safe"
mv "$folder/backup/vault" "$folder/shelf"
run "$florin" restore "$folder/backup" --home "$copy" --keys "$folder/safe" --vault "$folder/shelf"
check "it is brought back from three places" test "$code" -eq 0
((code == 0)) || echo "$said"
mv "$folder/safe" "$folder/backup/keys"
mv "$folder/shelf" "$folder/backup/vault"
check "into a home that is for its owner alone" closed_to_others "$copy/secrets"
FLORIN_HOME=$copy FLORIN_PORT=$copy_port
check "what was brought back comes up" up
check "its audit is clean" audit_of_copy
check "all $(answered_by "$began") payments that were answered before the backup are in it" all_there
run "$florin" status --json
a_card_can_be_charged_again() {
    local method customer
    method=$(curl -s "$FLORIN_URL/v1/payment_methods" -u "$FLORIN_SECRET_KEY:" -d type=card \
        -d "card[number]=4242424242424242" -d "card[exp_month]=12" -d "card[exp_year]=2030" | grep -oE 'pm_[0-9A-Za-z]{24}')
    # The same number is the same row of the vault, which came from the backup.
    (($(sql florin_vault -c "SELECT count(*) FROM card WHERE created < $(date +%s) - 1") > 0)) &&
        (($(sql florin_vault -c "SELECT count(DISTINCT token) FROM card") == $(of_original_cards))) &&
        pay -d "payment_method=$method" >/dev/null && payment_made
}
of_original_cards() {
    FLORIN_HOME=$original sql florin_vault -c "SELECT count(DISTINCT token) FROM card"
}
check "its keys open it, and its vault knows its cards" a_card_can_be_charged_again
check "its audit is clean after that, too" audit_of_copy
"$florin" down >/dev/null

# --- what must be refused, each with one sentence, and nothing made ---

refused() {
    run "$florin" restore "$folder/backup" --home "${home:-$folder/new}"
    one_sentence "$1" && [[ ${home:-} || ! -e $folder/new ]]
}
home=$copy check "a home that is in use" refused "an instance of Florin in"
home=$original check "one that is running" refused "Florin is running in"
mv "$folder/backup/vault/florin_vault.dump" "$folder/aside"
check "a backup without one of its files" refused "is missing"
head -c -1 "$folder/aside" >"$folder/backup/vault/florin_vault.dump"
check "one in which a byte is missing" refused "is not what was written"
mv "$folder/aside" "$folder/backup/vault/florin_vault.dump"
cp "$folder/backup/books/florin.dump" "$folder/aside"
printf 'x' | dd of="$folder/backup/books/florin.dump" bs=1 seek=3000 conv=notrunc 2>/dev/null
check "one in which a byte is another" refused "is not what was written"
mv "$folder/aside" "$folder/backup/books/florin.dump"
cp "$folder/backup/manifest" "$folder/aside"
sed -i 's/^florin-backup 1$/florin-backup 2/' "$folder/backup/manifest"
check "one of a newer format" refused "newer Florin"
sed -i '/first_merchant/d' "$folder/backup/manifest"
sed -i 's/^florin-backup 2$/florin-backup 1/' "$folder/backup/manifest"
check "one with a line less in its manifest" refused "manifest is not what was written"
rm "$folder/backup/manifest"
check "one that was not finished" refused "was not finished"
mv "$folder/aside" "$folder/backup/manifest"
run "$florin" restore "$folder/nothing" --home "$folder/new"
check "one that is not there" one_sentence "There is no backup"
run "$florin" restore
check "none at all" one_sentence "which backup"
FLORIN_HOME=$original
run "$florin" backup --to "$folder/backup"
check "a backup into a folder that has one" one_sentence "is not empty"
run "$florin" backup --to "$original/florin.conf"
check "or into a file" one_sentence "it should be a folder"
FLORIN_HOME=$copy run "$florin" backup --to "$folder/another"
check "of an instance that does not run" one_sentence "is not running"
check "which leaves nothing behind" test ! -e "$folder/another"

# --- one that is cut off by kill -9, in the middle of its largest file ---

"$florin" backup --to "$folder/cut" >/dev/null 2>&1 &
victim=$!
within 20 test -s "$folder/cut/books/florin.dump" -o ! -d "/proc/$victim"
kill -9 "$victim" 2>/dev/null
wait "$victim" 2>/dev/null
if [[ -e $folder/cut/manifest ]]; then rm "$folder/cut/manifest"; fi # it was too fast
run "$florin" restore "$folder/cut" --home "$folder/new"
check "a backup that was killed is refused" one_sentence "was not finished"
FLORIN_PORT=$original_port
eval "$("$florin" env)"
check "and Florin goes on as if nothing had been" payment_made

# --- the audit would see a backup that is not of one moment ---

cp -r "$folder/backup" "$folder/torn"
cp "$folder/older.book" "$folder/torn/books/network.book"
python3 - "$folder/torn" <<'PY'
import hashlib, sys
folder = sys.argv[1]
digest = lambda data: hashlib.blake2b(data, digest_size=32).hexdigest()
lines = open(folder + "/manifest").read().splitlines()[:-1]
book = open(folder + "/books/network.book", "rb").read()
lines = [f"file {digest(book)} {len(book)} books/network.book" if line.endswith("network.book") else line for line in lines]
text = "\n".join(lines) + "\n"
open(folder + "/manifest", "w").write(text + "end " + digest(text.encode()) + "\n")
PY
copy=$folder/torn-home
run "$florin" restore "$folder/torn" --home "$copy"
check "a backup with a network's book of another moment is brought back" test "$code" -eq 0
((code == 0)) || echo "$said"
FLORIN_HOME=$copy FLORIN_PORT=$copy_port
check "and comes up" up
run "$florin" audit
caught_by_audit() {
    ((code != 0)) && grep -q 'the network knows nothing of it' <<<"$said" || { tail -n 5 <<<"$said"; return 1; }
}
check "and its audit finds the payments that the network does not know" caught_by_audit
conclude
