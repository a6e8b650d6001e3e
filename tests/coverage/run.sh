#!/bin/sh
# Holds the table of routes and objects against the published API and prints how much of it is there.
#
#   ./run.sh            compares docs/COMPATIBILITY.md with what it finds
#   ./run.sh --write    writes it
#
# FLORIN_SHARED names the folder with stripe/openapi.json (default: ../shared beside the checkout).
set -eu
exec python3 "$(dirname "$0")/coverage.py" "$@"
