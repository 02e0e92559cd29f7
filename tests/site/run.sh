#!/bin/sh
# The manual: all its commands, as they are run when it is made; its links; and its pages in Chromium, where that is
# installed. run.sh BUILD-DIRECTORY SOURCE-DIRECTORY [--seed N, which is for other tests]. PYTHON names the interpreter, as
# for tools/site/build. Exits with 77 (skipped) where none has what the manual needs.
set -eu

build=$1 source=$2 passed=0 failed=0
for python in "${PYTHON-}" python3 /usr/bin/python3; do
    [ -n "$python" ] && "$python" -c 'import cffi, markdown, numpy, pygments' 2>/dev/null && break
    python=
done
if [ -z "$python" ] || ! command -v gnuplot >/dev/null; then
    echo 'skipped: no gnuplot, or no python3 with cffi, markdown, numpy and pygments; install them with: apt-get install gnuplot-nox python3-cffi python3-markdown python3-numpy python3-pygments'
    echo 'site: 0 passed, 0 failed'
    exit 77
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"; echo "site: $passed passed, $failed failed"' EXIT
export PYTHONDONTWRITEBYTECODE=1

# The reference has a place for every symbol of the library.
all_names_told() {
    for symbol in $(nm -D --defined-only "$build/libweir.so" | sed -n 's/^[0-9a-f]* [A-Z] \([a-z]*_[a-z0-9_]*\).*/\1/p'); do
        grep -q "#$symbol\"" "$scratch/site/reference/index.html" || echo "$symbol is not in the reference"
    done >"$scratch/untold"
    cat "$scratch/untold"
    [ ! -s "$scratch/untold" ]
}

# check COMMAND …
check() {
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

check env PYTHON="$python" "$source/tools/site/build" --built "$build" "$scratch/site"
[ $failed -eq 0 ] || exit 1
check "$python" "$source/tests/site/links.py" "$scratch/site"
check all_names_told
chromium=$(command -v chromium || command -v chromium-headless-shell || command -v chromium-browser || command -v google-chrome || :)
if [ -n "$chromium" ]; then
    check "$python" "$source/tests/site/browse.py" "$chromium" "$scratch/site"
else
    echo 'not tried in a browser: no chromium; install it with: apt-get install chromium-headless-shell'
fi
[ $failed -eq 0 ]
