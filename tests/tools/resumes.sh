#!/bin/sh
# Work that is killed at random times, and resumed until it is done, ends as if it had never stopped:
# resumes.sh COMMAND COUNT KIND [--seed N, which is for other tests]
#
# COUNT kills, by KILL, of work that had a checkpoint by then; it goes on from there, on another number of threads, and
# is killed again, until it comes to its end first. What it leaves must be what work left that nobody killed, bit for
# bit; and nothing else may be left. KIND is a name below. The suite has a few dozen kills; by hand, try 1000.
set -eu

weir=$(realpath "$1") count=$2 kind=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
kills=0 early=0 works=0 failed=0 number=0

output=m.safetensors
case $kind in
fit) set -- fit moons.csv --flow '(maf(64,64)-flip)*2' --epochs 20 --ema .9 --starts 2 --patience 9 ;;
float64) set -- fit table.csv --flow 'rqs(16)-flip-maf(16)' --schedule 'plateau(patience=2,end=0.2)' --dtype float64 \
    --epochs 40 --optimizer 'adagrad_window(window=3)' --val-fraction 0.2 --weights w ;;
search) set -- fit few.csv --budget 1h --seed 3 ;;
vi) set -- vi banana --flow '(rqs(8)-flip)*2' --iters 1500 --tolerance 1e-6 --anneal 700 --draws 500 ;;
infer) set -- vi banana --budget 1h --draws 5000 ;;
nuts) set -- nuts eight_schools --chains 3 --tune 3000 --draws 6000 ;;
dense) set -- nuts 'gaussian(dim=5)' --chains 40 --tune 1500 --draws 1500 --dense --start uniform ;;
*) exit 2 ;;
esac
command=$1
[ "$command" != nuts ] || output=m.csv

# killed WORDS: run the command with them, but kill it at some time before its end.
killed() {
    number=$((number + 1)) state=0
    when=$(awk -v seed="$number" -v took="$took" 'BEGIN { srand(seed); print took * (.05 + .9 * rand()) }')
    timeout -s KILL "$when" "$weir" "$@" --threads $((1 + number % 2)) --checkpoint 5ms >report 2>told || state=$?
    case $state in
    0 | 137) ;;
    *)
        failed=$((failed + 1))
        echo "exit status $state: $(cat told)"
        exit 1
        ;;
    esac
}

"$weir" data moons -n 2000 -o moons.csv >report
"$weir" data moons -n 120 -o few.csv >report
awk 'BEGIN { srand(1); print "a,b,w"; for (i = 0; i < 1000; i++) print int(4 * rand()) "," rand() "," rand() }' >table.csv
mkdir work
began=$(date +%s%N)
"$weir" "$@" -o "$output" >report 2>told
took=$(awk -v began="$began" -v now="$(date +%s%N)" 'BEGIN { print (now - began) / 1e9 }')
mv "$output" whole
cd work
ln -s ../moons.csv ../table.csv ../few.csv .
while [ $kills -lt "$count" ]; do
    killed "$@" -o "$output"
    while [ $state != 0 ] && [ -e "$output.checkpoint" ]; do
        kills=$((kills + 1))
        killed "$command" --resume "$output"
    done
    [ $state = 0 ] || {
        early=$((early + 1))
        [ $early -lt $((20 * count)) ] || {
            echo "$kind: killed $early times before it had a checkpoint: is this work too short here?"
            exit 1
        }
        rm -f "$output" ."$output"*
        continue
    }
    works=$((works + 1))
    cmp "$output" ../whole || failed=$((failed + 1))
    rm -f "$output" report told moons.csv table.csv few.csv
    [ -z "$(ls -A)" ] || {
        failed=$((failed + 1))
        ls -A
        rm -f ./* .m*
    }
    ln -s ../moons.csv ../table.csv ../few.csv .
done
echo "$kind: $works came to their end after $kills kills; $early were killed before they had a checkpoint"
echo "resumes: $((works - failed)) passed, $failed failed"
[ $failed = 0 ]
