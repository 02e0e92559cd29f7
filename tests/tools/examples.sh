#!/bin/sh
# Compiles every program of tools/examples against Weir as it is installed, and runs it: examples.sh BUILD-DIRECTORY
# LIBRARY-DIRECTORY PROGRAM.c … [--seed N, which is for other tests]
set -eu

build=$1 libdir=$2
shift 2
# shellcheck source-path=SCRIPTDIR source=as_installed
. "$(dirname "$0")/as_installed"
passed=0 count=0
trap 'rm -rf "$scratch"; echo "examples: $passed passed, $((count - passed)) failed"' EXIT

for program; do
    [ "$program" != --seed ] || break
    count=$((count + 1))
    echo "$(basename "$program"):"
    # shellcheck disable=SC2046
    ${CC:-cc} -std=c17 -O2 -Wall -Wextra -Werror "$program" $(pkg-config --cflags --libs weir) -o "$scratch/program"
    (cd "$scratch" && ./program)
    passed=$((passed + 1))
done
