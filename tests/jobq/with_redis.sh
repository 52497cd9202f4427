#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A program with a private Redis:  sh tests/jobq/with_redis.sh PROGRAM [ARGUMENT...]
#
# The address is in JOBQ_TEST_REDIS; where it is set before, that server is used and none is started. Ends as the program
# does; a server that cannot be started is a failure.

set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$ROOT/tests/lib.sh"

# Its words are the program's alone: the test's output is read by another program.
# shellcheck disable=SC2119
start_redis 1>&2
# In the background, so that a signal to this script is heard while the program runs.
"$@" &
program=$!
_spawned="$program $_spawned"
wait "$program"
status=$?
exit "$status"
