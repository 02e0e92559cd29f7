#!/bin/sh
# Makes version_0.1/ with the weir command of that version, commit 680f042: version_0.1.sh COMMAND. Three small models,
# points, and what that version makes of them: the words of `weir info`, log-densities and samples. Their bits are those
# of AVX2 and AVX-512, on every CPU: LIBXSMM adds up in the same order there. The portable path's are not, since its
# matrix products are those of BLIS, whose order depends on the CPU.
set -eu

weir=$(realpath "$1")
mkdir -p "$(dirname "$0")/version_0.1"
cd "$(dirname "$0")/version_0.1"
export WEIR_ISA=avx2

"$weir" data moons -n 50 --seed 5 -o maf.csv
"$weir" fit maf.csv --flow '(maf(8)-flip)*2' --epochs 40 --batch 10 -o maf.safetensors

# Two features that depend on the two columns beside them.
awk 'BEGIN {
    srand(680042)
    print "age,response,dose,weight"
    for (i = 0; i < 50; i++) {
        age = 20 + 60 * rand(); dose = 5 * rand()
        printf "%.2f,%.4f,%.3f,%.3f\n", age, dose / (1 + age / 50) + 0.3 * rand(), dose, 50 + age / 3 + 20 * rand()
    }
}' >rqs.csv
"$weir" fit rqs.csv --context age,dose --flow '(rqs(6)-flip)*2' --epochs 40 --batch 10 --ema 0.9 -o rqs.safetensors

"$weir" vi eight_schools --flow 'iaf(4)-flip-iaf(4)-scale-loc' --objective stl --iters 150 --mc 10 --lr 0.01 \
    --dtype float64 -o schools.safetensors
# Draws are on the scale of the model, points on that of the flow, where tau is its logarithm.
"$weir" sample schools.safetensors -n 20 --seed 7 -o - | awk -F , -v OFS=, 'NR > 1 { $2 = log($2) } 1' >schools.csv

for model in maf rqs schools; do
    context=
    [ $model != rqs ] || context='--context 61,2.5'
    "$weir" info $model.safetensors >$model.info
    "$weir" logprob $model.safetensors $model.csv -o $model.logprob.npy
    # shellcheck disable=SC2086
    "$weir" sample $model.safetensors $context -n 20 --seed 3 -o $model.samples.npy
done
