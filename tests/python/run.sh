#!/bin/sh
# The Python package against the library of this build: run.sh BUILD-DIRECTORY SOURCE-DIRECTORY [--seed N, which is for
# other tests]. PYTHON names the interpreter; without it, the first that has NumPy, cffi and pytest is taken. Exits with
# 77 (skipped) where none has.
set -eu

build=$1 source=$2
for python in "${PYTHON-}" python3 /usr/bin/python3; do
    [ -n "$python" ] && "$python" -c 'import cffi, numpy, pytest' 2>/dev/null && break
    python=
done
if [ -z "$python" ]; then
    echo 'skipped: no python3 has numpy, cffi and pytest; install them with: apt-get install python3-numpy python3-cffi python3-pytest'
    echo 'python: 0 passed, 0 failed'
    exit 77
fi

rm -rf "$build/python"
"$source/tools/python/assemble" "$python" "$build/libweir.so" "$build/python" -I"$build/faces/autodiff" \
    -I"$build/faces/flows" -I"$build/faces/models"

status=0
PYTHONPATH=$build/python "$python" -m pytest -q -p no:cacheprovider "$source/tests/python" >"$build/python/log" 2>&1 ||
    status=$?
cat "$build/python/log"
# The last line is pytest's: "2 failed, 59 passed, 1 error in 8.35s".
tail -n 1 "$build/python/log" | awk '
    { for (i = 2; i <= NF; i++) n[$i] = $(i - 1) }
    END { printf "python: %d passed, %d failed\n", n["passed"] + n["passed,"], n["failed,"] + n["failed"] + n["error"] + n["errors"] }'
exit "$status"
