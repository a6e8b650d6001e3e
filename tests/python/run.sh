#!/bin/sh
# Debian's Python library of Stripe against a Florin of its own: a fresh instance in a temporary folder,
# on a free port, taken down at the end whatever happens.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../.." && pwd)
python=/usr/bin/python3 # Debian's packages belong to it, whatever else is installed

"$python" -c 'import stripe' 2>/dev/null || {
    echo "tests/python: Debian's package python3-stripe is missing (apt-get install python3-stripe)" >&2
    exit 1
}
folder=$(mktemp -d "${TMPDIR:-/tmp}/florin-python.XXXXXX")
chmod 711 "$folder" # Postgres runs as a user of its own, and must get to its cluster
FLORIN_HOME=$folder/home
FLORIN_PORT=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export FLORIN_HOME FLORIN_PORT

take_down() {
    status=$?
    trap - EXIT INT TERM
    if [ "$status" -ne 0 ] && [ -n "${FLORIN_KEEP_LOGS:-}" ]; then
        mkdir -p "$FLORIN_KEEP_LOGS" && cp -r "$FLORIN_HOME/log" "$FLORIN_KEEP_LOGS/" 2>/dev/null || true
    fi
    "$checkout/florin" down >/dev/null 2>&1 || status=1
    rm -rf "$folder"
    exit "$status"
}
trap take_down EXIT
trap 'exit 130' INT TERM

"$checkout/florin" up --detach
variables=$("$checkout/florin" env)
eval "$variables"
export FLORIN_URL FLORIN_SECRET_KEY FLORIN_PUBLISHABLE_KEY FLORIN_ACCOUNT
"$python" "$here/drive.py"
