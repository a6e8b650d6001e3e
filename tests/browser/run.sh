#!/usr/bin/env bash
# Florin's pages in Chromium, with an instance of its own. Pictures of the pages are left in
# build/tests/browser/.
#
#   ./run.sh               all tests
#   ./run.sh 10            those files whose names begin with 10
. "$(dirname "$0")/../support/instance.sh" browser
cd "$checkout/tests/browser" || exit 1
CHROMIUM=${CHROMIUM:-$(command -v chromium || true)}
need "${CHROMIUM:-chromium}" "chromium is missing (apt-get install chromium)"
node_packages playwright-core and stripe

FLORIN_CHECKOUT=$checkout
FLORIN_PICTURES=$checkout/build/tests/browser
FLORIN_BROWSER_FOLDER=$folder/browser
export FLORIN_CHECKOUT FLORIN_PICTURES FLORIN_BROWSER_FOLDER CHROMIUM
mkdir -m 700 "$FLORIN_BROWSER_FOLDER"
mkdir -p "$FLORIN_PICTURES"
# Sessions that last seconds, so that one can be seen to expire.
printf 'checkout_expires_s_min = 1\n' >"$FLORIN_HOME/florin.conf"

up || exit 1
node_tests "$@"
run "$florin" audit --wait 10
((code == 0)) || { echo "$said"; failed=$((failed + 1)); }
conclude
