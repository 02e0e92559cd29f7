#!/bin/bash
# The shells' scripts of tools/completion, by the shells that are there: completion.sh WEIR SCRIPT-DIRECTORY [--seed N,
# which is for other tests]. What is typed, and the words that it can become; in bash and zsh, without the part that the
# shell leaves as it is.
set -u

weir=$(realpath "$1") scripts=$2
passed=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
touch table.csv 'a file.csv'
PATH=$(dirname "$weir"):$PATH
unset WEIR_PLUGINS

# same SHELL TYPED EXPECTED GOT
same() {
    if [ "$3" = "$4" ]; then
        passed=$((passed + 1))
    else
        echo "$1, $2: '$4' instead of '$3'"
        failed=$((failed + 1))
    fi
}

# TYPED|EXPECTED of bash|of others
cases="weir tran|transform|transform
weir help sch|schedules|schedules
weir fit table.csv --warm|--warmup|--warmup
weir fit --dtype=float3|float32|--dtype=float32
weir fit table.csv --optimizer 'adam(beta1|adam(beta1=|adam(beta1=
weir fit table.csv --flow '(maf(64,64)-fli|(maf(64,64)-flip|(maf(64,64)-flip
weir fit table.csv --flow \"(maf-fli|(maf-flip|(maf-flip
weir fit table.csv --flow='(maf-fli|(maf-flip|
weir fit 'a file.csv' --sched|--schedule|--schedule
weir fit tab|table.csv|table.csv
weir --mpi demo ban|banana|banana
weir vi eight_schools_c|eight_schools_centered|eight_schools_centered"

# Outside of completion itself there is no compopt.
in_bash() (
    # shellcheck disable=SC2317
    compopt() { :; }
    # shellcheck source=/dev/null
    . "$scripts/weir.bash"
    COMP_LINE=$1 COMP_POINT=${#1}
    _weir weir
    printf '%s\n' "${COMPREPLY[@]}" | sed 's/ $//' | uniq
)

in_zsh() {
    # shellcheck disable=SC2016
    zsh -f -c '
        compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -rl -- "$@" }
        _files() { print -rl -- ${words[CURRENT]}*(N) }
        words=(${(z)1}) CURRENT=${#words}
        . "$2"' zsh "$1" "$scripts/_weir"
}

in_fish() {
    # shellcheck disable=SC2016
    HOME=$scratch fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$scripts/weir.fish" "$1" | cut -f 1
}

while IFS='|' read -r typed bash others; do
    same bash "$typed" "$bash" "$(in_bash "$typed")"
    [ "$others" ] || continue
    ! command -v zsh >/dev/null || same zsh "$typed" "$others" "$(in_zsh "$typed")"
    ! command -v fish >/dev/null || same fish "$typed" "$others" "$(in_fish "$typed")"
done <<CASES
$cases
CASES
echo "completion_scripts: $passed passed, $failed failed"
[ $failed -eq 0 ]
