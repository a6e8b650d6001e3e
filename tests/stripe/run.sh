#!/usr/bin/env bash
# The official Stripe library against a Florin of its own.
#
#   ./run.sh               all tests
#   ./run.sh 20 50         those files whose names begin with 20 or 50, and nothing else
#
# FLORIN_SHARED names the folder with stripe/openapi.json (default: ../shared beside the checkout);
# without it the shape of the answers is not checked, and the run says so.
. "$(dirname "$0")/../support/instance.sh" stripe
cd "$checkout/tests/stripe" || exit 1
node_packages stripe

FLORIN_CHECKOUT=$checkout
FLORIN_SHARED=${FLORIN_SHARED:-$checkout/../shared}
FLORIN_RECORD=$folder/answers
export FLORIN_CHECKOUT FLORIN_SHARED FLORIN_RECORD
mkdir -m 700 "$FLORIN_RECORD"
# Three days of tries in a few seconds, half a minute of patience in one and a half, and checkout
# sessions that last as long.
cat >"$FLORIN_HOME/florin.conf" <<'CONF'
webhook_retry_s = 1 1 2 2 4 4
webhook_jitter_percent = 0
webhook_timeout_ms = 1500
checkout_expires_s_min = 1
CONF

up || exit 1
node_tests "$@"
conclude
