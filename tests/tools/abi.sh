#!/bin/sh
# The binary interface against that of the last release: abi.sh DIRECTORY-OF-FACES SOURCE-DIRECTORY ABI [--seed N, which
# is for other tests]. What programs compiled with the release's headers can't use any more needs another WEIR_ABI; what
# is added doesn't. Exits with 77 (skipped) where it can't be told: without abidiff or gcc, and on other machines than
# the one that the release's interface is of.
#
# With --store instead of --seed N, today's interface becomes that of the last release, which is one more step of a release.
#
# Interfaces are read from a library that is made of the headers alone, with a body for each function that does nothing:
# what the headers say is the interface, and a struct that they only name is none of it.
set -eu

faces=$1 source=$2 abi=$3
shift 3
stored=$source/tests/golden/abi/libweir.abi.gz
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# shellcheck source-path=SCRIPTDIR source=results
. "$(dirname "$0")/results"

skip() {
    echo "skipped: $1"
    echo 'abi: 0 passed, 0 failed'
    exit 77
}

for program in gcc abidw abidiff; do
    command -v $program >/dev/null || skip "no $program; install it with: apt-get install gcc abigail-tools"
done
machine=$(gcc -dumpmachine)
case $machine in x86_64-*) ;; *) skip "the interface that is stored is of x86_64, not of $machine" ;; esac

# library FACES FILE
library() {
    CC=gcc "$source/tools/abi/declarations" "$1" script "WEIR_$abi" >"$2.map"
    CC=gcc "$source/tools/abi/declarations" "$1" program >"$2.c"
    gcc -std=c17 -g -O0 -fPIC -shared -I"$1/autodiff" -I"$1/flows" -I"$1/models" "$2.c" -o "$2" \
        -Wl,-soname,"libweir.so.$abi" -Wl,--version-script="$2.map"
}

library "$faces" "$scratch/now.so"
abidw --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed --out-file "$scratch/now.abi" "$scratch/now.so"
if [ "${1-}" = --store ]; then
    mkdir -p "${stored%/*}"
    gzip -9 -n <"$scratch/now.abi" >"$stored"
    exit
fi

# is VERDICT HEADER SED-EXPRESSION: after this edit of a header, what was compiled before can be used (`additive`), or not
# (`breaking`).
is() {
    rm -rf "$scratch/faces"
    cp -RL "$faces" "$scratch/faces"
    sed -i "$3" "$scratch/faces/$2"
    if cmp "$faces/$2" "$scratch/faces/$2"; then return 1; fi
    library "$scratch/faces" "$scratch/edited.so" || return
    status=0
    abidiff --no-added-syms "$scratch/now.abi" "$scratch/edited.so" || status=$?
    echo "abidiff exited with $status"
    # Bits: 1 and 2 a mistake in the call, 4 a change, 8 one that breaks for sure.
    case $status in 0) [ "$1" = additive ] ;; 4 | 12) [ "$1" = breaking ] ;; *) false ;; esac
}

# That the comparison tells one from the other.
fine 'a function more' is additive autodiff/weir/version.h 's/^const char \*weir_version(void);/& int ad_more(void);/'
fine 'an enumerator more' is additive autodiff/weir/error.h 's/^} ad_status;/AD_ERROR_MORE, &/'
fine 'an enumerator of another value' is breaking autodiff/weir/error.h 's/AD_OK = 0,/& AD_ERROR_MORE,/'
fine 'a longer struct' is breaking models/weir/training.h 's/^} nf_fit_options;/int more; &/'
fine 'a function less' is breaking autodiff/weir/version.h 's/^const char \*weir_version(void);//'
fine 'a parameter more' is breaking autodiff/weir/version.h 's/weir_version(void)/weir_version(int more)/'
fine 'a callback of another type' is breaking models/weir/plugin.h 's/(\*start)(ad_error \*error)/(*start)(void)/'
fine 'a shorter table' is breaking flows/weir/registry.h 's/^typedef struct nf_registry nf_registry;/typedef int nf_registry;/'

# What the C library keeps in its FILE isn't ours, and differs from one of its releases to the next.
printf '[suppress_type]\n  name = _IO_FILE\n' >"$scratch/system"
gzip -d -c "$stored" >"$scratch/release.abi"
if grep -q "soname='libweir.so.$abi'" "$scratch/release.abi"; then
    fine "the interface differs from that of the last release, so that WEIR_ABI $abi has to go up by one" \
        abidiff --no-added-syms --suppressions "$scratch/system" "$scratch/release.abi" "$scratch/now.so"
fi
echo "abi: $passed passed, $failed failed"
[ $failed -eq 0 ]
