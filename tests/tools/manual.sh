#!/bin/sh
# Pages for man(1): manual.sh WEIR [--seed N, which is for other tests]. One for each command that 'weir --help' names and
# one for weir, in which man, groff and mandoc, where they are, find nothing to warn of; all that help says is there.
set -eu

# shellcheck source-path=SCRIPTDIR source=results
. "$(dirname "$0")/results"
weir=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The words of help on this command, but for the headings, that a page has too.
options_of() {
    grep -o -e '--[a-z][a-z0-9-]*' "$1" | sort -u
}

commands=$("$weir" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
for command in '' $commands 'demo banana' 'data convert'; do
    page=$scratch/page.1
    # shellcheck disable=SC2086
    "$weir" --man 2024-02-29 $command >"$page"
    if command -v man >/dev/null; then
        same "man of '$command'" '' "$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l "$page" 2>&1 >/dev/null)"
    fi
    if command -v groff >/dev/null; then
        same "groff of '$command'" '' "$(groff -ww -man -Tutf8 "$page" 2>&1 >"$scratch/text")"
    fi
    if command -v mandoc >/dev/null; then
        same "mandoc of '$command'" '' "$(mandoc -Tlint -W warning "$page" 2>&1 || :)"
    fi
    [ "$command" ] || continue
    # shellcheck disable=SC2086
    "$weir" help $command >"$scratch/help"
    sed 's/\\-/-/g; s/\\f[BIR]//g' "$page" >"$scratch/plain"
    same "options of '$command'" "$(options_of "$scratch/help")" "$(options_of "$scratch/plain")"
done
same "a page of no command" 2 "$("$weir" --man 2024-02-29 nonsense >/dev/null && echo 0 || echo $?)"
echo "manual: $passed passed, $failed failed"
[ $failed -eq 0 ]
