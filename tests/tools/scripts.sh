#!/bin/sh
# The scripts that users call: scripts.sh SOURCE-DIRECTORY [--seed N, which is for other tests]. Through a symbolic link
# they work as by their own name; where there is no checkout they say so, and end. shellcheck finds nothing in any.
set -eu

cd "$1"
source=$PWD
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0 failed=0

# expect WHAT STATUS TEXT COMMAND …: the command ends with this status (0 or 1, which stands for all others), having told
# this.
expect() {
    what=$1 status=$2 text=$3
    shift 3
    got=0
    output=$(timeout 600 "$@" 2>&1) || got=$?
    # What timeout had to end didn't end.
    if [ $got != 124 ] && [ $((got != 0)) = "$status" ] && printf '%s\n' "$output" | grep -q -e "$text"; then
        passed=$((passed + 1))
    else
        echo "$what: status $got, and this: $output"
        failed=$((failed + 1))
    fi
}

mkdir "$scratch/bin" "$scratch/lone" "$scratch/copy"
cp -R tools "$scratch/copy"
cd "$scratch"
for script in test demo package wheel bench/run site/build; do
    name=$(basename $script)
    ln -s "$source/tools/$script" "bin/$name"
    [ "$name" = run ] || expect "a link to $script" 0 '^usage: ' "bin/$name" --help
    cp "$source/tools/$script" lone
    expect "$script alone" 1 'tools/setup' "lone/$name" --help
    expect "$script of a copy" 1 'no checkout of Weir' "copy/tools/$script" --help
done

if command -v shellcheck >/dev/null; then
    cd "$source"
    # shellcheck disable=SC2046
    expect shellcheck 0 '' shellcheck --external-sources $(grep -rlI --exclude='*.md' -E '^#!/bin/sh|^# shellcheck shell=' tools tests .ci)
fi
echo "scripts: $passed passed, $failed failed"
[ $failed -eq 0 ]
