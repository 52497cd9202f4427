#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The points of SQLite, on files that are in memory where that is possible:  sh tests/chaos/points.sh PROGRAM [ARGUMENT...]

set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$ROOT/tests/lib.sh"

base=/tmp
[ -w /dev/shm ] && base=/dev/shm
FOLDER=$(mktemp -d "$base/jqp.XXXXXX") || exit 1
leave_folder() {
    rm -rf "$FOLDER"
}
at_exit leave_folder
program=$1
shift
"$program" --store "sqlite:$FOLDER/store.db" "$@"
