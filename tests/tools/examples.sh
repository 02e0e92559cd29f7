#!/bin/sh
# Compiles every program of tools/examples against Weir as it is installed, and runs it: examples.sh BUILD-DIRECTORY
# PROGRAM.c … [--seed N, which is for other tests]
set -eu

build=$1
shift
scratch=$(mktemp -d)
passed=0 count=0
trap 'rm -rf "$scratch"; echo "examples: $passed passed, $((count - passed)) failed"' EXIT

meson install -C "$build" --no-rebuild --quiet --destdir "$scratch/root"
library=$(dirname "$(find "$scratch/root" -name libweir.so)")
PKG_CONFIG_PATH=$library/pkgconfig
PKG_CONFIG_SYSROOT_DIR=$scratch/root
LD_LIBRARY_PATH=$library
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR LD_LIBRARY_PATH
for program; do
    [ "$program" != --seed ] || break
    count=$((count + 1))
    echo "$(basename "$program"):"
    # shellcheck disable=SC2046
    ${CC:-cc} -std=c17 -O2 -Wall -Wextra -Werror "$program" $(pkg-config --cflags --libs weir) -lm -o "$scratch/program"
    (cd "$scratch" && ./program)
    passed=$((passed + 1))
done
