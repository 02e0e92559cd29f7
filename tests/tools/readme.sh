#!/bin/sh
# The C program of the README, the block that begins with /* moons.c:, is compiled by the README's own line against Weir
# as it is installed, run, and learns what it should: readme.sh BUILD-DIRECTORY LIBRARY-DIRECTORY README [--seed N, which
# is for other tests]
set -eu

build=$1 libdir=$2 readme=$3
# shellcheck source-path=SCRIPTDIR source=as_installed
. "$(dirname "$0")/as_installed"
result="0 passed, 1 failed"
trap 'rm -rf "$scratch"; echo "readme: $result"' EXIT

awk '
    /^```c$/ { inside = 1; block = ""; next }
    /^```$/ { if (inside && block ~ /^\/\* moons\.c:/) printf "%s", block; inside = 0 }
    inside { block = block $0 "\n" }
' "$readme" >"$scratch/moons.c"
if [ ! -s "$scratch/moons.c" ]; then
    echo "skipped: the README has no block of C that begins with /* moons.c:"
    result="0 passed, 0 failed"
    exit 77
fi
line=$(sed -n 's/^    \(cc moons\.c .*\)/\1/p' "$readme")
cd "$scratch"
# shellcheck disable=SC2046
"${CC:-cc}" -std=c17 -Wall -Wextra -Werror -fsyntax-only moons.c $(pkg-config --cflags weir)
eval "$line" | tee output
# Nats: a perfect density scores 0.289.
awk '/^fresh data:/ { score = $3 } END { exit !(score > 0.28 && score < 0.33) }' output || {
    echo "this is not the score of a flow that has learned the moons"
    exit 1
}
result="1 passed, 0 failed"
