#!/bin/sh
# Installs a wheel into a fresh environment and runs the example with it: `scripts/smoke_test.sh WHEEL [SESSION…]`.
set -eu
wheel=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
cd "$(dirname "$0")/.."
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/venv"
"$directory/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel"
# Only the environment's own nox and uv, and the system's programs.
PATH=$directory/venv/bin:$PATH
export PATH
noxide --version
git ls-files examples/parcelbook | tar cf - -T - | tar xf - -C "$directory"
cd "$directory/examples/parcelbook"
if [ $# -gt 0 ]; then set -- -s "$@"; fi
noxide run "$@"
