#!/bin/sh
# The names that the libraries have: symbols.sh DIRECTORY-OF-WEIR SHARED-LIBRARY LIBRARY-OF-A-ROOM … [--seed N, which is
# for other tests]. What the public headers declare is what the shared library shows, no more and no less; every other
# function or object that isn't static says by its name that it is private: ad__… in autodiff/, nf__… above it.
set -eu

faces=$1 shared=$2
shift 2
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

# Reads preprocessed C, writes the names of functions and objects that headers of Weir declare, a line each.
declared() {
    awk '
        function finish(    name, i, n, part) {
            gsub(/__attribute__ *\(\([^()]*(\([^()]*\)[^()]*)*\)\)/, "", statement)
            gsub(/[ \t]+/, " ", statement)
            sub(/^ /, "", statement)
            if (statement ~ /^(typedef|static|_Static_assert)/) ;
            else if (match(statement, /[A-Za-z_0-9]+ ?\(/)) {
                name = substr(statement, RSTART, RLENGTH)
                sub(/ ?\($/, "", name)
                print name
            } else if (statement ~ /^extern /) {
                n = split(statement, part, ",")
                for (i = 1; i <= n; i++) {
                    gsub(/\[[^]]*\]/, "", part[i])
                    if (match(part[i], /[A-Za-z_0-9]+ ?$/)) {
                        name = substr(part[i], RSTART, RLENGTH)
                        sub(/ $/, "", name)
                        print name
                    }
                }
            }
            statement = ""
        }
        /^# [0-9]+ "/ { weir = $3 ~ /\/weir\/[a-z0-9_]+\.h"$/; next }
        /^#/ || !weir { next }
        {
            n = split($0, c, "")
            for (i = 1; i <= n; i++) {
                if (c[i] == "{") depth++
                else if (c[i] == "}") { if (--depth == 0 && statement ~ /\) *$/) finish() }
                else if (depth == 0 && c[i] == ";") finish()
                else if (depth == 0) statement = statement c[i]
            }
            statement = statement " "
        }'
}

# symbols NM-OPTION … FILE
symbols() {
    nm --defined-only "$@" | awk 'NF == 3 { print $3 }' | LC_ALL=C sort -u
}

set_of_faces=
for room in autodiff flows models; do
    set_of_faces="$set_of_faces -I$faces/$room"
    for header in "$faces/$room"/weir/*.h; do
        echo "#include <weir/$(basename "$header")>"
    done
done >"$scratch/all.c"
# shellcheck disable=SC2086
"${CC:-cc}" -std=c17 -E $set_of_faces "$scratch/all.c" | declared | LC_ALL=C sort -u >"$scratch/declared"
symbols -D "$shared" >"$scratch/exported"
if ! grep -q -x weir_version "$scratch/declared"; then
    echo weir_version >"$scratch/missed"
fi
touch "$scratch/missed"
result 'not found in the headers, where it stands' "$scratch/missed"

LC_ALL=C comm -13 "$scratch/declared" "$scratch/exported" >"$scratch/difference"
result 'exported, but declared in no public header' "$scratch/difference"
LC_ALL=C comm -23 "$scratch/declared" "$scratch/exported" >"$scratch/difference"
result 'declared in a public header, but not exported' "$scratch/difference"
grep -E '^(ad|nf)__' "$scratch/declared" >"$scratch/difference" || true
result 'declared in a public header by a private name' "$scratch/difference"

for library; do
    [ "$library" != --seed ] || break
    prefix=nf__
    case $library in *libweir_autodiff.a) prefix=ad__ ;; esac
    symbols -g "$library" >"$scratch/own"
    LC_ALL=C comm -13 "$scratch/declared" "$scratch/own" | grep -v "^$prefix" >"$scratch/difference" || true
    result "$(basename "$library"): declared in no public header, and not called $prefix…" "$scratch/difference"
done
echo "symbols: $passed passed, $failed failed"
[ $failed -eq 0 ]
