#!/bin/sh
# The walls between the rooms: includes.sh BUILD-DIRECTORY SOURCE-DIRECTORY [--seed N, which is for other tests]
# With the flags that compile a file of a room, its own headers are found and so are the public ones of the rooms below
# it; private headers of other rooms and public ones of rooms above it are not. A room's own descriptors of what others
# can register are compiled as those of others are: its private headers aren't found either.
set -eu

build=$1
cd "$2"
scratch=$(mktemp -d)
passed=0 failed=0
trap 'rm -rf "$scratch"' EXIT

result() {
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
    else
        echo "$1"
        failed=$((failed + 1))
    fi
}

# may_include HEADER: so that the compiler says where it can't; must_not_include HEADER: where it can.
may_include() {
    printf '#if !__has_include(%s)\n#error this include should compile: %s\n#endif\n' "$1" "$1"
}

must_not_include() {
    printf '#if __has_include(%s)\n#error this include should not compile: %s\n#endif\n' "$1" "$1"
}

private_headers() {
    (cd "$1" && find . -mindepth 2 -name '*.h' | sed 's,^\./,,' | LC_ALL=C sort)
}

# preprocess TARGET FILE INPUT: as the build compiles FILE for TARGET, but INPUT in its place, and without the system's
# headers, among which an installed Weir may be.
preprocess() {
    command=$(ninja -C "$build" -t commands "$1" | grep -m 1 -e " -c [^ ]*$2\$")
    command=$(printf '%s\n' "$command" | sed 's/ -M[QF] [^ ]*//g; s/ -MD//; s/ -o [^ ]* -c [^ ]*$//')
    (cd "$build" && eval "$command -nostdinc -fdiagnostics-color=never -fsyntax-only -x c" '"$3"')
}

# room NAME TARGET FILE own|public ROOM-BELOW …
room() {
    room=$1 target=$2 file=$3 own=may_include
    [ "$4" = own ] || own=must_not_include
    shift 4
    for header in $(private_headers "$room"); do $own "\"$header\""; done >"$scratch/own.c"
    true >"$scratch/legal.c"
    if [ $own = may_include ]; then
        true >"$scratch/wrong.c"
        mv "$scratch/own.c" "$scratch/legal.c"
    else
        mv "$scratch/own.c" "$scratch/wrong.c"
    fi
    for other in autodiff flows models; do
        for header in "$other"/*.h; do
            header=$(basename "$header")
            case " $room $* " in
            *" $other "*) may_include "<weir/$header>" >>"$scratch/legal.c" ;;
            *) must_not_include "<weir/$header>" >>"$scratch/wrong.c" ;;
            esac
            must_not_include "\"$other/$header\"" >>"$scratch/wrong.c"
        done
        for header in $(private_headers "$other"); do
            must_not_include "\"$other/$header\"" >>"$scratch/wrong.c"
            [ -f "$room/$header" ] || must_not_include "\"$header\"" >>"$scratch/wrong.c"
        done
    done
    for what in legal wrong; do
        [ -s "$scratch/$what.c" ] || echo '#error nothing was tried' >"$scratch/$what.c"
        status=0
        preprocess "$target" "$file" "$scratch/$what.c" >"$scratch/output" 2>&1 || status=1
        result "$target: $(grep -o -e '#error .*' "$scratch/output" || cat "$scratch/output")" $status
    done
}

room autodiff libweir_autodiff.a autodiff/base/version.c own
room flows libweir_flows.a flows/core/flow.c own autodiff
room models libweir_models.a models/files/file.c own autodiff flows
room tools/weir weir tools/weir/main.c own autodiff flows models
for library in "$build"/libweir_*_descriptors.a; do
    target=$(basename "$library")
    case $target in
    *flows*) room flows "$target" 'flows/[^ ]*' public autodiff ;;
    *) room models "$target" 'models/[^ ]*' public autodiff flows ;;
    esac
done

# What is named from where the file lies would be found whatever the flags.
status=0
grep -rn --include='*.[ch]' -e '^ *# *include *["<][^">]*\.\./' autodiff flows models tools tests >"$scratch/output" && status=1
result "an include that climbs: $(cat "$scratch/output")" $status
echo "includes: $passed passed, $failed failed"
[ $failed -eq 0 ]
