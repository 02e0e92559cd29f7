#!/bin/sh
# Compiles each public header by itself, and a program that uses their macros, as strict C17 and C++17:
# headers.sh DIRECTORY-OF-WEIR HEADER … [--seed N, which is for other tests]. Compilers that aren't there are left out.
set -eu

faces=$1
shift
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0 failed=0

cat >"$scratch/macros" <<'PROGRAM'
#include <weir/models.h>
#include <weir/plugin.h>

static const nf_argument arguments[] = {NF_TRANSFORMER_ARGUMENT,         NF_NETWORK_ARGUMENT, NF_ACTIVATION_ARGUMENT,
                                        NF_RATIONAL_QUADRATIC_ARGUMENTS, NF_AFFINE_ARGUMENTS, NF_GAIN_ARGUMENT};

static ad_status start(ad_error *error)
{
    int rows = 3;
    size_t columns = 4;
    ad_shape shape = AD_SHAPE(rows, columns), scalar = AD_SCALAR;
    if (ad_shape_size(shape) == 12 && ad_shape_equal(scalar, AD_SCALAR)) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "%s", arguments[0].name);
}

WEIR_PLUGIN("macros", WEIR_VERSION, start)

#ifdef __cplusplus
constexpr ad_shape cube = AD_SHAPE(2, 3, 4);
static_assert(cube.rank == 3 && cube.dim[0] == 2 && cube.dim[2] == 4 && cube.dim[3] == 0, "AD_SHAPE");
static_assert(AD_SCALAR.rank == 0, "AD_SCALAR");
#endif
PROGRAM

# compiles COMPILER LANGUAGE FILE: a header's warnings are those of all who include it.
compiles() {
    command -v "$1" >/dev/null || return 0
    warnings='-Wall -Wextra -Wno-missing-field-initializers -Wshadow'
    [ "$2" = c ] || warnings="$warnings -Wold-style-cast"
    # shellcheck disable=SC2086
    if "$1" -std="${2}17" $warnings -pedantic-errors -Werror \
        -I"$faces/autodiff" -I"$faces/flows" -I"$faces/models" -fsyntax-only -x "$2" "$3"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
}

for compiler in "${CC:-cc}" clang; do compiles "$compiler" c "$scratch/macros"; done
for compiler in "${CXX:-c++}" clang++; do compiles "$compiler" c++ "$scratch/macros"; done
for header; do
    [ "$header" != --seed ] || break
    compiles "${CC:-cc}" c "$header"
    compiles "${CXX:-c++}" c++ "$header"
done
echo "headers: $passed passed, $failed failed"
[ $failed -eq 0 ]
