#!/bin/sh
# A file of C says one thing, in at most 450 lines, an example in 60: lines.sh SOURCE-DIRECTORY [--seed N, which is for
# other tests]
set -eu

cd "$1"
# shellcheck disable=SC2046
wc -l $(find autodiff flows models tools tests -name '*.[ch]') | awk '
    $2 != "total" && $1 > ($2 ~ /^tools\/examples\// ? 60 : 450) { printf "%s has %d lines\n", $2, $1; failed = 1 }
    END { printf "lines: %d passed, %d failed\n", !failed, failed; exit failed }'
