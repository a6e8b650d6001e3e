#!/bin/sh
# Payers on pages, while processes are killed; see README.md.
set -u
here=$(cd "$(dirname "$0")" && pwd)
exec node "$here/payers_survive_kills.mjs" "$@"
