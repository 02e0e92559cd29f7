#!/bin/sh
# Compiles the C program of the README, the block that begins with /* moons.c:, against Weir as it is installed, and
# runs it: readme.sh BUILD-DIRECTORY README
set -eu

scratch=$(mktemp -d)
result="0 passed, 1 failed"
trap 'rm -rf "$scratch"; echo "readme: $result"' EXIT

awk '
    /^```c$/ { inside = 1; block = ""; next }
    /^```$/ { if (inside && block ~ /^\/\* moons\.c:/) printf "%s", block; inside = 0 }
    inside { block = block $0 "\n" }
' "$2" >"$scratch/readme.c"
if [ ! -s "$scratch/readme.c" ]; then
    echo "skipped: the README has no block of C that begins with /* moons.c:"
    result="0 passed, 0 failed"
    exit 77
fi
meson install -C "$1" --no-rebuild --quiet --destdir "$scratch/root"
cd "$scratch"
library=$(dirname "$(find root -name libweir.so)")
PKG_CONFIG_PATH=$library/pkgconfig
PKG_CONFIG_SYSROOT_DIR=$scratch/root
LD_LIBRARY_PATH=$library
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR LD_LIBRARY_PATH
# shellcheck disable=SC2046
${CC:-cc} -std=c17 -Wall -Wextra -Werror readme.c $(pkg-config --cflags --libs weir) -o readme
./readme
result="1 passed, 0 failed"
