#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A test in a browser:  sh tests/dashboard/browser.sh FILE.mjs [WORD...]
#
# $JOBQ_PLAYWRIGHT names a folder with playwright-core below node_modules, and with node if the system's is older than 22;
# tests/all.sh fills one. Words choose some of the tests by name.

set -u
HERE=$(cd "$(dirname "$0")" && pwd) || exit 1

if [ ! -d "${JOBQ_PLAYWRIGHT:-/nowhere}/node_modules/playwright-core" ]; then
    echo "Bail out! \$JOBQ_PLAYWRIGHT names no folder with playwright-core; tests/all.sh makes one"
    exit 1
fi
node=$JOBQ_PLAYWRIGHT/node_modules/.bin/node
[ -x "$node" ] || node=node
file=$1
shift
exec "$node" "$HERE/browser/$file" "$@"
