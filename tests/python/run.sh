#!/usr/bin/env bash
# Debian's Python library of Stripe against a Florin of its own.
. "$(dirname "$0")/../support/instance.sh" python
python=/usr/bin/python3 # Debian's packages belong to it, whatever else is installed
"$python" -c 'import stripe' 2>/dev/null || {
    echo "tests/python: Debian's package python3-stripe is missing (apt-get install python3-stripe)" >&2
    exit 1
}
up || exit 1
"$python" "$checkout/tests/python/drive.py" || { failed=1; exit 1; } # it says how many itself
