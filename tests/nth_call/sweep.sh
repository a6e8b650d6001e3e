#!/bin/bash
# Builds the library and sweeps an instance of its own; README.md. All arguments go to sweep.mjs:
#   tests/nth_call/sweep.sh --only ledger,network --seconds 75
set -eu
here=$(cd "$(dirname "$0")" && pwd)
library=$(mktemp -d "${TMPDIR:-/tmp}/florin-nth-library.XXXXXX")
trap 'rm -rf "$library"' EXIT
# shellcheck disable=SC2046 # words on purpose
gcc -std=gnu17 -O1 -Wall -Wextra -shared -fPIC $(pkg-config --cflags libpq) "$here/shim.c" -o "$library/nth.so" -ldl
node "$here/sweep.mjs" --bin "$here/../../build/release/bin" --shim "$library/nth.so" "$@"
