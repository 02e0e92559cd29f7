#!/bin/sh
# Models that an earlier version saved: earlier.sh COMMAND DIRECTORY yes|no [--seed N, which is for other tests]
# The directory has what that version made of them, as the script that has its name tells; the third argument is
# whether the bits of samples can be compared, which they can where LIBXSMM multiplies matrices. Those of log-densities
# can't: that version had another logarithm of float32.
set -eu

weir=$(realpath "$1") expected=$2 bits=$3
scratch=$(mktemp -d)
passed=0 failed=0
trap 'rm -rf "$scratch"' EXIT

# result NAME COMMAND …
result() {
    name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        echo "$name: not what it was"
        failed=$((failed + 1))
    fi
}

# near FILE FILE: .npy of as many float64 that differ by what rounding may do to float32.
near() {
    for file; do
        tail -c +129 "$file" | od -An -v -w8 -tf8
    done | awk '
        { value[NR] = $1 }
        END {
            half = NR / 2
            for (i = 1; i <= half; i++) {
                error = value[i] - value[half + i]
                if (!(error * error <= 1e-8 * (1 + value[i] * value[i]))) exit 1
            }
            exit half == 0 || half != int(half)
        }'
}

# numbers FILE: of a .npy of float64, one a line.
numbers() {
    tail -c +129 "$1" | od -An -v -w8 -tf8
}

# near_on_the_scale_of_sites: that version took points of a target's flow with log tau for tau, and gave log q of them.
# Since then points are those that are drawn, whose density has log|d tau / d log tau| = log tau taken off.
near_on_the_scale_of_sites() {
    awk -F , -v OFS=, 'NR > 1 { $2 = sprintf("%.17g", exp($2)) } 1' schools.csv >"$scratch/points.csv"
    "$weir" logprob schools.safetensors "$scratch/points.csv" -o "$scratch/logprob.npy" >/dev/null
    numbers schools.logprob.npy >"$scratch/expected"
    numbers "$scratch/logprob.npy" >"$scratch/got"
    tail -n +2 schools.csv | cut -d , -f 2 | paste -d ' ' "$scratch/expected" "$scratch/got" - | awk '
        NF == 3 { error = $1 - ($2 + $3); lines++ }
        NF != 3 || !(error * error <= 1e-12 * (1 + $1 * $1)) { wrong = 1 }
        END { exit wrong || lines == 0 }'
}

# has FLAG …: whether the CPU has all of them.
has() {
    for flag; do
        grep -q -w -m 1 "$flag" /proc/cpuinfo || return
    done
}

isas=portable
if [ "$bits" = yes ]; then
    if has avx2 fma; then isas="$isas avx2"; fi
    if has avx512f avx512dq avx512bw avx512vl; then isas="$isas avx512"; fi
fi
cd "$expected"
for model in *.safetensors; do
    model=${model%.safetensors}
    context=
    [ "$model" != rqs ] || context='--context 61,2.5'
    "$weir" info "$model.safetensors" >"$scratch/info"
    result "$model.info" diff "$model.info" "$scratch/info"
    for isa in $isas; do
        export WEIR_ISA="$isa"
        if [ "$model" = schools ]; then
            result "$model.logprob.npy, $isa" near_on_the_scale_of_sites
        else
            "$weir" logprob "$model.safetensors" "$model.csv" -o "$scratch/logprob.npy" >/dev/null
            result "$model.logprob.npy, $isa" near "$model.logprob.npy" "$scratch/logprob.npy"
        fi
        # shellcheck disable=SC2086
        "$weir" sample "$model.safetensors" $context -n 20 --seed 3 -o "$scratch/samples.npy" >/dev/null
        [ "$isa" = portable ] || result "$model.samples.npy, $isa" cmp "$model.samples.npy" "$scratch/samples.npy"
    done
done
echo "earlier: $passed passed, $failed failed"
[ $failed -eq 0 ]
