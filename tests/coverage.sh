#!/bin/sh
# SPDX-License-Identifier: MIT
#
# How much of lib and backends the tests run:  sh tests/coverage.sh [--slow] [--again] [--missing | --names] [SUITE]...
#
#   --slow     also the tests that say of the servers' stores what others say of them faster
#   --again    no tests: what the last run left is counted once more
#   --missing  also prints each line with a branch that was never taken
#   --names    only the functions that have one, as doc/coverage.md lists them
#   SUITE      of meson, in place of those that run the library's own code
#
# Builds below build-all/coverage or $JOBQ_BUILD_ROOT, without optimization, and prints a table of lines and branches. Ends with
# 0 if at least 90 % of the lines and 80 % of the branches of each part were run, 1 if not or a test failed, 2 usage, 3 something
# is missing and cannot be installed from here. Processes that are shot leave no counts, so storms are not part of it.

# Functions are called by step.
# shellcheck disable=SC2317
set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$ROOT/tests/lib.sh"
cd "$ROOT" || exit 1

AGAIN='' MISSING='' SUITES='' SLOW='--no-suite slow'
while [ $# -gt 0 ]; do
    case $1 in
    --again) AGAIN=1 ;;
    --slow) SLOW= ;;
    --missing | --names) MISSING=$1 ;;
    -h | --help)
        sed -n '4,/^$/s/^#\( \|$\)//p' "$0"
        exit 0
        ;;
    -*) die 2 "coverage.sh: unknown argument '$1' (see --help)" ;;
    *) SUITES="$SUITES --suite $1" ;;
    esac
    shift
done
SUITES=${SUITES:---suite unit --suite inject --suite conformance --suite worker --suite differential --suite sqlite --suite postgres
    --suite redis --suite faults --suite simulation --suite fuzz}

need_build
need_tests
need_redis
need_postgres
need_pooler
need cmd:openssl openssl
need cmd:gcovr gcovr
install_missing

BUILD=${JOBQ_BUILD_ROOT:-$ROOT/build-all}/coverage
failed=0
if [ -z "$AGAIN" ]; then
    build_tree "$BUILD" --buildtype=debug -Doptimization=0 -Db_coverage=true -Ddefault_library=static \
        -Dc_args=-DJOBQ_ARENA_BLOCK=0 -Dexamples=false || exit 1
    find "$BUILD" -name '*.gcda' -delete
    start_redis
    start_postgres
    # The suites are words on purpose.
    # shellcheck disable=SC2086
    STEP_TAIL=0 step "$BUILD.test.log" 'tests' env --default-signal=INT,QUIT meson test -C "$BUILD" --no-rebuild \
        --timeout-multiplier 5 $SUITES $SLOW --no-suite full --no-suite orchestrator --no-suite chaos --no-suite search || failed=1
    grep -E '^ *[0-9]+/[0-9]+ .*(FAIL|TIMEOUT|ERROR)' "$BUILD.test.log"
fi
step "$BUILD.count.log" 'count' gcovr --root "$ROOT" --filter "$ROOT/lib/" --filter "$ROOT/backends/" --exclude-throw-branches \
    --exclude-unreachable-branches -j 2 --json "$BUILD.json" "$BUILD/lib" "$BUILD/backends" || exit 1
# One word or none.
# shellcheck disable=SC2086
python3 "$ROOT/tests/coverage/table.py" $MISSING "$BUILD.json" || failed=1
exit "$failed"
