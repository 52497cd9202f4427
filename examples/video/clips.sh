#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: sh clips.sh DIR
#
# Puts four short clips of real footage and real speech into DIR, made from files of Debian packages, and
# DIR/SOURCES.txt, which says for each where it comes from. Clips whose picture and sound do not belong
# together are called composed there.
#
# Needs ffmpeg, no rights and no installation: a package is fetched with apt-get download and only the files
# that are wanted are unpacked, once, into ${XDG_CACHE_HOME:-~/.cache}/jobq. A second run downloads nothing.
# Exit status: 0 done; 1 something failed; 2 usage; 3 something is missing, and its package is named.

set -u

RECIPE=2    # counted up when a clip is made in another way, so that old ones are made again

PORTRAIT=usr/lib/python3/dist-packages/skimage/data/astronaut.png
WALKERS=usr/share/doc/opencv-doc/examples/data/vtest.avi
SPEECH=usr/share/pocketsphinx/test/data/librivox/sense_and_sensibility_01_austen_64kb

die() {
    status=$1
    shift
    printf 'clips.sh: %s\n' "$*" >&2
    exit "$status"
}

if [ $# -ne 1 ] || [ -z "$1" ]; then
    die 2 'usage: sh clips.sh DIR'
fi
case $1 in
/*) out=$1 ;;
*) out=$PWD/$1 ;;
esac
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/jobq/footage

work=
clean() {
    [ -z "$work" ] || rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- the pieces ------------------------------------------------------------------------------------------

# fetch PACKAGE: leaves the .deb as $work/deb/PACKAGE_*.deb.
fetch() {
    for tool in apt-get dpkg-deb; do
        command -v "$tool" >/dev/null 2>&1 ||
            die 3 "files of the Debian package $1 are needed, and there is no $tool to fetch them with"
    done
    size=$(apt-cache show "$1" 2>/dev/null | sed -n 's/^Size: //p' | head -n 1)
    [ -n "$size" ] || die 3 "apt does not know the package $1; apt-get update may help"
    printf 'fetching %s (%s MB), unpacking a few files of it, installing nothing\n' \
        "$1" $(((size + 999999) / 1000000))
    mkdir -p "$work/deb"
    # The sandbox user of apt may not write to a private folder.
    (cd "$work/deb" && apt-get -qq -o APT::Sandbox::User=root download "$1") >"$work/apt.log" 2>&1 || {
        cat "$work/apt.log" >&2
        die 1 "apt-get download $1 failed"
    }
}

# piece PACKAGE PATH...: makes sure the files are in the cache, under their last name, with PACKAGE.version
# beside them. The version file comes last: with it, all of them are there and whole.
piece() {
    package=$1
    shift
    if [ -s "$cache/$package.version" ] && all_cached "$@"; then
        return 0
    fi
    mkdir -p "$cache" || die 1 "cannot make the folder $cache"
    rm -f "$cache/$package.version" || die 1 "cannot write to $cache"
    unpack_dir=$work/$package
    mkdir -p "$unpack_dir"
    if all_installed "$@"; then
        version=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null) || version=unknown
        for path in "$@"; do
            cp "/$path" "$unpack_dir/"
        done
    else
        fetch "$package"
        version=$(dpkg-deb -f "$work/deb/${package}"_*.deb Version)
        unpack "$@"
    fi
    for path in "$@"; do
        mv "$unpack_dir/${path##*/}" "$cache/${path##*/}" ||
            die 1 "$package does not hold $path, or $cache is full"
    done
    printf '%s\n' "$version" >"$work/version"
    mv "$work/version" "$cache/$package.version" || die 1 "cannot write to $cache"
}

all_cached() {
    for path in "$@"; do
        [ -s "$cache/${path##*/}" ] || return 1
    done
}

all_installed() {
    for path in "$@"; do
        [ -s "/$path" ] || return 1
    done
}

# One pass over the archive, each file flat into $unpack_dir.
unpack() {
    for path in "$@"; do
        printf './%s\n' "$path"
    done >"$work/wanted"
    dpkg-deb --fsys-tarfile "$work/deb/${package}"_*.deb |
        tar -x -C "$unpack_dir" --no-same-owner -T "$work/wanted" || die 1 "$package cannot be unpacked"
    for path in "$@"; do
        mv "$unpack_dir/$path" "$unpack_dir/${path##*/}" || die 1 "$package does not hold $path"
    done
    rm -f "$work/deb/${package}"_*.deb
}

version_of() {
    cat "$cache/$1.version"
}

# --- the clips -------------------------------------------------------------------------------------------

# encode NAME ARGUMENT...: ffmpeg with these inputs and filters; DIR/NAME appears when it is whole.
encode() {
    name=$1
    shift
    # The codec is several words.
    # shellcheck disable=SC2086
    ffmpeg -nostdin -v error -y "$@" $codec -pix_fmt yuv420p -map_metadata -1 -fflags +bitexact \
        -movflags +faststart "$work/clip.mp4" || die 1 "$name could not be made"
    mv "$work/clip.mp4" "$out/$name" || die 1 "cannot write to $out"
    printf 'made %s\n' "$out/$name"
}

# portrait NAME SENTENCE SECONDS FILTER: a slow pan over the portrait under a sentence.
portrait() {
    encode "$1" -loop 1 -framerate 25 -t "$3" -i "$cache/astronaut.png" -i "$cache/${SPEECH##*/}-$2.wav" \
        -vf "$4,scale=480:480" -c:a aac -b:a 96k -shortest
}

make_clips() {
    portrait interview-1.mp4 0870 7.1 "crop=384:384:x='(iw-ow)*t/7.1':y=20"
    portrait interview-2.mp4 0920 6.0 "hflip,crop=384:384:x='(iw-ow)*t/6':y='60*t/6'"
    encode pedestrians.mp4 -ss 5 -t 7 -i "$cache/vtest.avi" -an
    encode street-spoken.mp4 -ss 40 -t 5.2 -i "$cache/vtest.avi" -i "$cache/${SPEECH##*/}-0890.wav" \
        -map 0:v:0 -map 1:a:0 -c:a aac -b:a 96k -shortest
}

write_sources() {
    cat >"$work/sources" <<EOF
recipe $RECIPE

The pictures and the voices are real. In a clip that is called composed they do not belong together.

interview-1.mp4    composed: a slow pan over a portrait [1] under a sentence that was read aloud [2], 0870:
                   "and mister john dashwood had then leisure to consider how much there might be prudently in
                   his power to do for them"
interview-2.mp4    composed: the same portrait mirrored, another pan [1], another sentence [2], 0920:
                   "had he married a more amiable woman he might have been made still more respectable than he was"
pedestrians.mp4    as filmed, seconds 5 to 12, encoded anew, without sound [3]
street-spoken.mp4  composed: seconds 40 to 45 of the same footage [3] under a sentence [2], 0890:
                   "unless to be rather cold hearted and rather selfish is to be ill disposed"

[1] /$PORTRAIT
    Debian package python3-skimage $(version_of python3-skimage)
    Portrait of the astronaut Eileen Collins by NASA, in the public domain; the package is BSD-3-Clause.
[2] /$SPEECH-{0870,0890,0920}.wav
    Debian package pocketsphinx-testdata $(version_of pocketsphinx-testdata)
    LibriVox reading of Jane Austen's Sense and Sensibility, in the public domain; the package is BSD-2-Clause.
[3] /$WALKERS
    Debian package opencv-doc $(version_of opencv-doc)
    The package is Apache-2.0 and BSD-3-Clause; its copyright file has no entry for this recording alone.
EOF
    mv "$work/sources" "$out/SOURCES.txt" || die 1 "cannot write to $out"
}

is_done() {
    [ "$(sed -n 1p "$out/SOURCES.txt" 2>/dev/null)" = "recipe $RECIPE" ] || return 1
    for clip in interview-1 interview-2 pedestrians street-spoken; do
        [ -s "$out/$clip.mp4" ] || return 1
    done
}

mkdir -p "$out" || die 1 "cannot make the folder $out"
if is_done; then
    exit 0
fi
command -v ffmpeg >/dev/null 2>&1 || die 3 'ffmpeg is missing: package ffmpeg'
work=$(mktemp -d "${TMPDIR:-/tmp}/jobq-clips.XXXXXX") || die 1 'cannot make a temporary folder'
codec='-c:v mpeg4 -q:v 3'
if ffmpeg -v error -encoders 2>/dev/null | grep -q ' libx264 '; then
    codec='-c:v libx264 -preset veryfast -crf 20'
fi

# Several runs at once fetch each package once; where there is no flock they fetch it twice.
mkdir -p "$cache" || die 1 "cannot make the folder $cache"
exec 9>"$cache/lock"
if command -v flock >/dev/null 2>&1; then
    flock 9 || die 1 "cannot lock $cache"
fi
piece pocketsphinx-testdata "$SPEECH-0870.wav" "$SPEECH-0890.wav" "$SPEECH-0920.wav"
piece python3-skimage "$PORTRAIT"
piece opencv-doc "$WALKERS"
exec 9>&-
rm -f "$out/SOURCES.txt"
make_clips
write_sources
