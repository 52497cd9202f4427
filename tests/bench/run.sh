#!/bin/sh
# SPDX-License-Identifier: MIT
# Measure libjobq against the limit programs, in turn, and print one table.
# usage: sh tests/bench/run.sh [--quick] [--json] [--store sqlite|memory]
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
. "$ROOT/tests/lib.sh"

need_build
need cmd:python3 python3
need 'pc:check >= 0.10' check
install_missing
BUILD=${JOBQ_BUILD_ROOT:-$ROOT/build-all}/bench
if [ ! -f "$BUILD/build.ninja" ]; then
    meson setup "$BUILD" "$ROOT" --buildtype=release -Dexamples=false >/dev/null
fi
ninja -C "$BUILD" >/dev/null
exec /usr/bin/python3 "$ROOT/tests/bench/run.py" --build "$BUILD" "$@"
