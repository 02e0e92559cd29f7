#!/bin/sh
# The names that the libraries have: symbols.sh DIRECTORY-OF-WEIR ABI SHARED-LIBRARY LIBRARY-OF-A-ROOM … [--seed N, which
# is for other tests]. What the public headers declare is what the shared library shows under the version WEIR_ABI, no more
# and no less, and what the compiler took for visible; every other function or object that isn't static says by its name
# that it is private: ad__… in autodiff/, nf__… above it. Names with a dot, such as __x86.get_pc_thunk.bx, are the
# compiler's own.
set -eu

faces=$1 version=WEIR_$2 shared=$3
shift 3
scratch=$(mktemp -d)
passed=0 failed=0
trap 'rm -rf "$scratch"' EXIT

# result WHAT FILE: a test that passes when the file is empty.
result() {
    if [ -s "$2" ]; then
        echo "$1:"
        sed 's/^/    /' "$2"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
}

# symbols NM-OPTION … FILE
symbols() {
    nm --defined-only "$@" | awk 'NF == 3 { print $3 }' | LC_ALL=C sort -u
}

"$(dirname "$0")/../../tools/abi/declarations" "$faces" names >"$scratch/declared"
# A version's own name is a symbol too.
symbols -D "$shared" | grep -v -x "$version" >"$scratch/versioned"
sed 's/@.*//' "$scratch/versioned" | LC_ALL=C sort >"$scratch/exported"
if ! grep -q -x weir_version "$scratch/declared"; then
    echo weir_version >"$scratch/missed"
fi
touch "$scratch/missed"
result 'not found in the headers, where it stands' "$scratch/missed"
grep -v "@@$version\$" "$scratch/versioned" >"$scratch/difference" || true
result "exported, but not under the version $version" "$scratch/difference"

LC_ALL=C comm -13 "$scratch/declared" "$scratch/exported" >"$scratch/difference"
result 'exported, but declared in no public header' "$scratch/difference"
LC_ALL=C comm -23 "$scratch/declared" "$scratch/exported" >"$scratch/difference"
result 'declared in a public header, but not exported' "$scratch/difference"
grep -E '^(ad|nf)__' "$scratch/declared" >"$scratch/difference" || true
result 'declared in a public header by a private name' "$scratch/difference"

# The list of names is what the linker was given too: the compiler's own view of the headers is another.
for library; do
    [ "$library" != --seed ] || break
    readelf --wide --symbols "$library"
done | awk '$5 ~ /^(GLOBAL|WEAK)$/ && $6 == "DEFAULT" && $7 != "UND" { print $8 }' | LC_ALL=C sort -u >"$scratch/visible"
LC_ALL=C comm -3 "$scratch/visible" "$scratch/exported" >"$scratch/difference"
result 'visible to the compiler, but not exported, or the other way round' "$scratch/difference"

for library; do
    [ "$library" != --seed ] || break
    prefix=nf__
    case $library in *libweir_autodiff.a) prefix=ad__ ;; esac
    symbols -g "$library" >"$scratch/own"
    LC_ALL=C comm -13 "$scratch/declared" "$scratch/own" | grep -v -e "^$prefix" -e '\.' >"$scratch/difference" || true
    result "$(basename "$library"): declared in no public header, and not called $prefix…" "$scratch/difference"
done
echo "symbols: $passed passed, $failed failed"
[ $failed -eq 0 ]
