#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Fuzzing:  sh tests/fuzz/run.sh [--minutes N] [--only TARGET]...
#
#   --minutes N    of each target, default 1
#   --only TARGET  as the files tests/fuzz/TARGET.c are called; may be given several times
#
# Builds below build-fuzz/ with clang, libFuzzer and the address and undefined-behaviour sanitizers. What it finds worth keeping
# stays below build-fuzz/corpus; an input that crashes a target is left in build-fuzz/found, and belongs into
# tests/fuzz/corpus once it is understood, where every run of the tests meets it again.
# 0 nothing was found, 1 something was, 2 usage, 3 something is missing and cannot be installed from here.

set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$ROOT/tests/lib.sh"
cd "$ROOT" || exit 1

minutes=1
only=
while [ $# -gt 0 ]; do
    case $1 in
    --minutes)
        minutes=${2:-}
        shift
        ;;
    --only)
        only="$only ${2:-}"
        shift
        ;;
    -h | --help)
        sed -n '4,/^$/s/^#\( \|$\)//p' "$0"
        exit 0
        ;;
    *) die 2 "run.sh: unknown argument '$1' (see --help)" ;;
    esac
    shift
done
case $minutes in
'' | *[!0-9]*) die 2 'run.sh: --minutes takes a whole number' ;;
esac

need_build
need_tests
need cmd:clang clang
need_service
need_redis
install_missing

BUILD=$ROOT/build-fuzz
if [ ! -f "$BUILD/build.ninja" ]; then
    CC=clang meson setup "$BUILD" -Dfuzz=true -Dwerror=false -Dbuildtype=debug -Doptimization=1 -Db_lundef=false \
        -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link >"$BUILD.log" 2>&1 || die 1 "see $BUILD.log"
fi
mkdir -p "$BUILD/found"
failed=0
for file in tests/fuzz/corpus/*; do
    name=${file##*/}
    case " $only " in
    '  ' | *" $name "*) ;;
    *) continue ;;
    esac
    ninja -C "$BUILD" "tests/fuzz/fuzz-$name" >"$BUILD/$name.build.log" 2>&1 || die 1 "see $BUILD/$name.build.log"
    mkdir -p "$BUILD/corpus/$name"
    if step "$BUILD/$name.log" "fuzz $name" "$BUILD/tests/fuzz/fuzz-$name" -max_total_time=$((minutes * 60)) \
        -timeout=20 -rss_limit_mb=4096 -artifact_prefix="$BUILD/found/$name-" "$BUILD/corpus/$name" "$file"; then
        tail -n 1 "$BUILD/$name.log"
    else
        failed=1
    fi
done
exit "$failed"
