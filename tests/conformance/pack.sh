#!/bin/sh
# SPDX-License-Identifier: MIT
# pack.sh OUTPUT OBJCOPY AR LIBRARY... -- CC...: all of the libraries in one object that shows jobq_conformance alone.
set -e
output=$1 objcopy=$2 ar=$3
shift 3
libraries=
while [ "$1" != -- ]; do
    libraries="$libraries $1"
    shift
done
shift
rm -f "$output" "$output.o"
# shellcheck disable=SC2086
"$@" -r -nostdlib -o "$output.o" -Wl,--whole-archive $libraries -Wl,--no-whole-archive
"$objcopy" --keep-global-symbol=jobq_conformance "$output.o"
"$ar" rcs "$output" "$output.o"
rm -f "$output.o"
