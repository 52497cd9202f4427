#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Fuzzing:  sh tests/fuzz/run.sh [--only TARGET]... [SECONDS]
#
#   SECONDS        of each target, default 60
#   --only TARGET  as the files tests/fuzz/TARGET.c are called; may be given several times
#
# Builds below build-all/fuzz or $JOBQ_BUILD_ROOT with clang, libFuzzer and the address and undefined-behaviour sanitizers. What it
# finds worth keeping stays in its folder corpus; an input that crashes a target is left in its folder found, and belongs into
# tests/fuzz/corpus once it is understood, where every run of the tests meets it again.
# 0 nothing was found, 1 something was, 2 usage, 3 something is missing and cannot be installed from here.

set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$ROOT/tests/lib.sh"
cd "$ROOT" || exit 1

seconds=60
only=
while [ $# -gt 0 ]; do
    case $1 in
    --only)
        only="$only ${2:-}"
        shift
        ;;
    -h | --help)
        sed -n '4,/^$/s/^#\( \|$\)//p' "$0"
        exit 0
        ;;
    '' | *[!0-9]*) die 2 "run.sh: unknown argument '$1' (see --help)" ;;
    *) seconds=$1 ;;
    esac
    shift
done

need_build
need_tests
need cmd:clang clang
need_service
need_redis
install_missing

BUILD=${JOBQ_BUILD_ROOT:-$ROOT/build-all}/fuzz
export CC=clang
mkdir -p "$BUILD/found"
failed=0
for file in tests/fuzz/corpus/*; do
    name=${file##*/}
    case " $only " in
    '  ' | *" $name "*) ;;
    *) continue ;;
    esac
    TARGETS=tests/fuzz/fuzz-$name build_tree "$BUILD" -Dfuzz=true -Dwerror=false -Dbuildtype=debug -Doptimization=1 -Db_lundef=false \
        -Ddefault_library=static -Ddashboard=disabled -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link || exit 1
    mkdir -p "$BUILD/corpus/$name"
    if step "$BUILD/$name.log" "fuzz $name" "$BUILD/tests/fuzz/fuzz-$name" -max_total_time="$seconds" \
        -max_len=4096 -timeout=20 -rss_limit_mb=4096 -artifact_prefix="$BUILD/found/$name-" "$BUILD/corpus/$name" "$file"; then
        grep '^Done' "$BUILD/$name.log"
    else
        failed=1
    fi
done
exit "$failed"
