#!/bin/sh
# Kills each process of a Florin in the middle of a thousand payments; see kill_each_actor.mjs.
set -u
here=$(cd "$(dirname "$0")" && pwd)
if node "$here/kill_each_actor.mjs" "$@"; then
    echo "1 passed, 0 failed"
else
    echo "0 passed, 1 failed"
    exit 1
fi
