#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What can be found without running it, and by running it slowly:  sh tests/analysis.sh [--only TOOL]...
#
#   --only TOOL  gcc (its -fanalyzer), clang-tidy, cppcheck or valgrind; may be given several times
#
# The first three read lib, backends and examples; what they find must be explained in tests/analysis/known.txt, and each line
# there must explain something. Valgrind runs the smaller tests of the library, the worker and SQLite: an invalid access, a value
# that nobody set or a block that nobody knows any more is a failure. Builds below build-all/analysis or $JOBQ_BUILD_ROOT.
#
# 0 nothing is left unexplained, 1 something is, 2 usage, 3 something is missing and cannot be installed from here.

set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$ROOT/tests/lib.sh"
cd "$ROOT" || exit 1

ONLY=
while [ $# -gt 0 ]; do
    case $1 in
    --only)
        case ${2:-} in
        gcc | clang-tidy | cppcheck | valgrind) ONLY="$ONLY $2" ;;
        *) die 2 'analysis.sh: --only takes gcc, clang-tidy, cppcheck or valgrind' ;;
        esac
        shift
        ;;
    -h | --help)
        sed -n '4,/^$/s/^#\( \|$\)//p' "$0"
        exit 0
        ;;
    *) die 2 "analysis.sh: unknown argument '$1' (see --help)" ;;
    esac
    shift
done
ONLY=${ONLY:-gcc clang-tidy cppcheck valgrind}

wanted() {
    case " $ONLY " in
    *" $1 "*) return 0 ;;
    *) return 1 ;;
    esac
}

need_build
need cmd:gcc gcc
need 'pc:check >= 0.10' check
need_service
need_redis
need_postgres
for tool in clang-tidy cppcheck valgrind; do
    if wanted "$tool"; then
        need "cmd:$tool" "$tool"
    fi
done
install_missing

BUILD=${JOBQ_BUILD_ROOT:-$ROOT/build-all}/analysis
mkdir -p "$BUILD"
failed=0

# The sources that are made have to be there, no more.
GENERATED='lib/transitions.h backends/sqlite/statements.h backends/sqlite/steps.h backends/postgres/statements.h
    backends/postgres/steps.h backends/postgres/functions.h backends/redis/scripts.h examples/dashboard/page_data.c'
SMOKE='id sha256 validate options policy combine verbs explain durations copy schedule rate bulk keep budget memory-full
    conformance-memory-plain loop-memory lease-memory refused-memory outcome-memory sqlite-clock sqlite-attach sqlite-groups'

# The analyzer is gcc's, so the commands must be.
if wanted gcc || wanted clang-tidy || wanted cppcheck; then
    CC=gcc TARGETS=$GENERATED build_tree "$BUILD/sources" --buildtype=debugoptimized || exit 1
fi
for tool in gcc clang-tidy cppcheck; do
    wanted "$tool" || continue
    step "$BUILD/$tool.txt" "$tool" /usr/bin/python3 tests/analysis/run.py --build "$BUILD/sources" --tool "$tool" || failed=1
    tail -n 1 "$BUILD/$tool.txt"
done

if wanted valgrind; then
    build_tree "$BUILD/valgrind" --buildtype=debug -Doptimization=1 -Ddefault_library=static -Dexamples=false \
        -Dredis=disabled -Dpostgres=disabled || exit 1
    # Tests that fork leave the child's blocks where they were; what counts is what nobody knows any more. The names are words.
    # shellcheck disable=SC2086
    CK_TIMEOUT_MULTIPLIER=10 STEP_TAIL=0 step "$BUILD/valgrind.txt" 'valgrind' meson test -C "$BUILD/valgrind" --no-rebuild --timeout-multiplier 30 \
        --wrapper 'valgrind -q --fair-sched=try --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite' $SMOKE || failed=1
    grep -E '^ *[0-9]+/[0-9]+ .*(FAIL|TIMEOUT|ERROR)|^(Ok|Fail|Timeout):' "$BUILD/valgrind.txt"
fi
exit "$failed"
