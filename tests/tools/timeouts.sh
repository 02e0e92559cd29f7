#!/bin/sh
# Fits that timeout(1) ends at random times lose nothing: timeouts.sh COMMAND COUNT 'OPTIONS OF timeout' [--seed N, which
# is for other tests]
#
# timeout sends its signal twice: to the fit, and to all that run with it. Each fit that was hit in the training, in the
# saving or behind it must have left a model that can be read, and so must each that came to its end before. One that
# was hit before it began has nothing to keep, and doesn't count: it hadn't yet warned of the table, in which two columns
# have one name. A fit that is killed by KILL saves nothing; then the old model stands. The suite has a handful of runs;
# by hand, try 1000, with '-s TERM', '-s INT', '-s HUP -k 5' and '-s KILL'.
set -eu

weir=$(realpath "$1") count=$2 options=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
counted=0 early=0 ended=0 lost=0 behind=0 number=0 slower=1
case $options in
*KILL*) kills=true ;;
*) kills=false ;;
esac

fit() {
    "$@" "$weir" fit moons.csv --flow 'maf(256,256)' --epochs "$epochs" -o m.safetensors >report 2>told
}

# From 5 to 55 thousandths of a second, and more where the machine is slow to begin.
when() {
    awk -v seed="$number" -v slower="$slower" 'BEGIN { srand(seed); print slower * (.005 + .05 * rand()) }'
}

"$weir" data moons -n 200 -o moons.csv >report
sed -i '1s/.*/x,x/' moons.csv
epochs=1
! $kills || fit env
while [ $counted -lt "$count" ]; do
    number=$((number + 1)) state=0
    $kills || rm -f m.safetensors
    # Every other fit would end by itself, at about the same time.
    epochs=10
    [ $((number % 2)) = 0 ] || epochs=1000000
    # What a shell starts in the background ignores signals. The options are several words.
    fit env --default-signal=INT,HUP,TERM timeout $options "$(when)" || state=$?
    if [ ! -e m.safetensors ] && [ ! -s told ] && [ $state != 0 ]; then
        early=$((early + 1))
        [ $((early % 20)) != 0 ] || [ $early -le $counted ] || slower=$((slower * 2))
        continue
    fi
    counted=$((counted + 1))
    [ $state != 0 ] || ended=$((ended + 1))
    if ! "$weir" info m.safetensors >report 2>&1; then
        lost=$((lost + 1))
        echo "fit $number, exit status $state: $(cat told report)"
    fi
    for file in .m.*; do
        [ ! -e "$file" ] || behind=$((behind + 1))
        rm -f "$file"
    done
done
echo "$options: $counted fits, $ended of which ended by themselves, and $early that had not begun: $lost lost," \
    "$behind files left behind"
[ $lost = 0 ] && { $kills || [ $behind = 0 ]; }
