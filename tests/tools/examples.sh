#!/bin/sh
# Compiles everything of tools/examples against Weir as it is installed, and runs it, by the lines of its first comment
# that begin with cc or weir: examples.sh BUILD-DIRECTORY LIBRARY-DIRECTORY EXAMPLE.c … [--seed N, which is for other
# tests]
set -eu

build=$1 libdir=$2
shift 2
# shellcheck source-path=SCRIPTDIR source=as_installed
. "$(dirname "$0")/as_installed"
passed=0 count=0
trap 'rm -rf "$scratch"; echo "examples: $passed passed, $((count - passed)) failed"' EXIT

PATH=$(dirname "$(find "$scratch/root" -path '*/bin/weir')"):$PATH

cc() {
    command "${CC:-cc}" -std=c17 -O2 -Wall -Wextra -Werror "$@"
}

# What an example's comment says to type; a line ends in \ where the next one belongs to it.
commands_of() {
    sed -n '1,/\*\//{s/ *\*\/$//;/^ \*     \(cc\|weir\) /{:join;/\\$/{N;s/\\\n \* *//;b join};s/^ \* *//;p}}' "$1"
}

here=$PWD
cd "$scratch"
weir data moons -n 500 -o moons.npy
for example; do
    [ "$example" != --seed ] || break
    count=$((count + 1))
    echo "$(basename "$example"):"
    case $example in /*) ;; *) example=$here/$example ;; esac
    cp "$example" .
    data=${example%.c}.csv
    [ ! -f "$data" ] || cp "$data" .
    commands_of "$example" >commands
    if grep -q '^WEIR_PLUGIN(' "$example"; then
        grep -q '^cc -shared ' commands && grep -q '^weir \(--plugin\|[^ ]* .*\./\)' commands
    else
        grep -q '^cc .* && ./a.out$' commands
    fi
    # A picture takes gnuplot.
    command -v gnuplot >/dev/null || sed -i '/^weir [^|]* plot /d' commands
    # shellcheck disable=SC1091
    (set -ex && . ./commands)
    passed=$((passed + 1))
done
