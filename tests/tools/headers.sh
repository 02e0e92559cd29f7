#!/bin/sh
# Compiles each public header by itself as C++: headers.sh DIRECTORY-OF-WEIR HEADER … [--seed N, which is for other tests]
set -eu

if ! command -v "${CXX:-c++}" >/dev/null; then
    echo "skipped: there is no C++ compiler"
    echo "headers: 0 passed, 0 failed"
    exit 77
fi
faces=$1
shift
passed=0 failed=0
for header; do
    [ "$header" != --seed ] || break
    if "${CXX:-c++}" -std=c++17 -Wall -Wextra -Werror -I"$faces/autodiff" -I"$faces/flows" -I"$faces/models" \
        -fsyntax-only -x c++ "$header"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
done
echo "headers: $passed passed, $failed failed"
[ $failed -eq 0 ]
