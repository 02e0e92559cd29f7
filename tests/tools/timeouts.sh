#!/bin/sh
# Fits that timeout(1) ends at random times lose nothing: timeouts.sh COMMAND COUNT 'OPTIONS OF timeout' [--seed N, which
# is for other tests]
#
# timeout sends its signal twice: to the fit, and to all that run with it. Each fit that was hit in the training, in the
# saving or behind it must have left a model that can be read, and so must each that came to its end before. One that
# was hit before it began has nothing to keep, and doesn't count: it hadn't yet warned of the table, in which two columns
# have one name. A fit that is killed by KILL saves nothing; then the old model stands. The suite has a handful of runs;
# by hand, try 1000, with '-s TERM', '-s INT', '-s HUP -k 60' and '-s KILL'.
set -eu

weir=$(realpath "$1") count=$2 options=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
counted=0 early=0 ended=0 lost=0 behind=0 number=0
case $options in
*KILL*) kills=true ;;
*) kills=false ;;
esac

fit() {
    "$@" "$weir" fit moons.csv --flow 'maf(256,256)' --epochs "$epochs" -o m.safetensors >report 2>told
}

# when MICROSECONDS: a random time around them, in seconds.
when() {
    awk -v seed="$number" -v middle="$1" 'BEGIN { srand(seed); print middle * (.3 + 1.4 * rand()) / 1000000 }'
}

"$weir" data moons -n 200 -o moons.csv >report
sed -i '1s/.*/x,x/' moons.csv
epochs=1 middle=30000
! $kills || fit env
while [ $counted -lt "$count" ]; do
    number=$((number + 1)) state=0
    $kills || rm -f m.safetensors
    # Two of three fits would end by themselves, at about the time that is found so that half of them do.
    epochs=10
    [ $((number % 3)) != 0 ] || epochs=1000000
    # What a shell starts in the background ignores signals. The options are several words.
    # shellcheck disable=SC2086
    fit env --default-signal=INT,HUP,TERM timeout $options "$(when $middle)" || state=$?
    if [ $state = 0 ]; then
        ended=$((ended + 1)) middle=$((middle - middle / 20))
    elif [ $epochs = 10 ]; then
        middle=$((middle + middle / 20))
    fi
    [ -e m.safetensors ] || [ -s told ] || {
        early=$((early + 1))
        continue
    }
    counted=$((counted + 1))
    if ! "$weir" info m.safetensors >report 2>&1; then
        lost=$((lost + 1))
        echo "fit $number, exit status $state: $(cat told report)"
    fi
    for file in .m.*; do
        [ ! -e "$file" ] || behind=$((behind + 1))
        rm -f "$file"
    done
done
echo "$options: $ended of $counted fits ended by themselves; $early had not begun; $behind files were left behind"
$kills || lost=$((lost + behind))
echo "timeouts: $((counted - lost)) passed, $lost failed"
[ $lost = 0 ]
