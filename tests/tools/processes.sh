#!/bin/sh
# Several processes that work on one command: processes.sh BUILD-DIRECTORY [--seed N, which is for other tests]
#
# Whatever their number, models, draws and scores are those of one process; what goes wrong is told once, and one that
# goes wrong alone, or dies, ends the others. With each MPI that the build has found and that has a launcher here, but with
# the first alone where it takes long. They are more than there are cores, as may be.
set -eu

build=$(realpath "$1")
weir=$build/weir
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
passed=0 failed=0
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
# Where there is no ssh, which is for other machines, any program stands for it.
export OMPI_MCA_plm_rsh_agent=sh PRTE_MCA_plm_ssh_agent=sh
export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe TMPDIR="$scratch"

# report WHAT STATUS [LINES]: 0 is a success; else what the command had said is shown.
report() {
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
    else
        echo "$1"
        head -n 20 told said 2>/dev/null || true
        failed=$((failed + 1))
    fi
}

# start_ranks COUNT COMMAND …: with this MPI's launcher, and what they print in `said` and `told`.
start_ranks() {
    number=$1
    shift
    timeout 1000 "$launcher" -n "$number" "$@" >said 2>told
}

# A launcher's own exit status is not always that of its processes: 0 or another is all that is looked at.
expect() {
    what=$1 expected=$2 status=0
    shift 2
    start_ranks "$@" || status=$?
    report "$what: exit status $status" "$((expected != (status != 0)))"
}

# says WHAT TIMES TEXT: so often, in all that they printed.
says() {
    times=$(cat said told | grep -c -e "$3") || true
    report "$1: '$3' is told $times times" $((times != $2))
}

same() {
    state=0
    cmp "alone/$1" "ranks/$1" || state=1
    report "$1 differs: $2" $state
}

# all DIRECTORY LAUNCH …: each of the commands whose results are compared, there. The names of outputs are in records.
all() {
    mkdir "$1"
    cd "$1"
    shift
    for words in \
        "fit $scratch/moons.npy --flow maf(16)-flip-rqs(8) --epochs 3 -o fit.safetensors" \
        "vi gaussian(dim=3) --flow iaf(8) --iters 60 --seed 2 -o vi.safetensors" \
        "nuts gaussian(dim=2) --chains 3 --tune 60 --draws 40 -o nuts.npy" \
        "sample $scratch/model.safetensors -n 200000 -o sample.npy" \
        "logprob $scratch/model.safetensors sample.npy -o logprob.npy"; do
        state=0
        # shellcheck disable=SC2086
        "$@" "$weir" $words >../said 2>../told || state=$?
        report "$* weir $words: exit status $state" $state
    done
    cd ..
}

results="fit.safetensors vi.safetensors nuts.npy sample.npy logprob.npy"

compare_ranks() {
    for number in $1; do
        rm -rf ranks
        all ranks timeout 1000 "$launcher" -n "$number"
        for result in $results; do same "$result" "$number ranks of $mpi"; done
    done
}

# only_on RANK ACTION SCRIPT: a script that acts so on this rank alone, before it becomes the command.
only_on() {
    cat >"$3" <<SCRIPT
#!/bin/sh
[ "\${OMPI_COMM_WORLD_RANK-\${PMI_RANK-}}" != $1 ] || $2
exec "\$@"
SCRIPT
    chmod +x "$3"
}

mistakes() {
    expect "a mistake" 1 3 "$weir" fit moons.npy --flow mfa -o m.safetensors
    says "a mistake" 1 "got 'mfa'"
    expect "no input" 1 3 "$weir" fit nothing.npy -o m.safetensors
    says "no input" 1 "nothing.npy"
    expect "no place for the output" 1 3 "$weir" fit moons.npy --flow loc -o nowhere/m.safetensors
    says "no place for the output" 1 "cannot create 'nowhere/m.safetensors'"
    expect "standard input" 1 2 "$weir" fit - --flow loc -o m.safetensors
    says "standard input" 1 "2 ranks read it"
    expect "no command of ranks" 0 3 "$weir" info model.safetensors
    says "no command of ranks" 1 "^flow "
    expect "independent runs" 0 3 "$weir" --no-mpi info model.safetensors
    says "independent runs" 3 "^flow "
    expect "no plug-in" 1 3 env WEIR_MPI=nothing "$weir" fit moons.npy --flow loc -o m.safetensors
    says "no plug-in" 1 "plug-in for MPI is not there"
    report "a mistake left something" "$(find . -name 'm.safetensors' -o -name '.m.*' | wc -l)"
}

differences() {
    only_on 2 "export WEIR_ISA=portable" differs
    expect "another instruction set" 1 3 ./differs "$weir" fit moons.npy --flow loc -o m.safetensors
    says "another instruction set" 1 "rank 2 .* in the \(instruction set\|variables\)"
    only_on 1 'set -- "$@" --seed 3' differs
    expect "another command" 1 3 ./differs "$weir" fit moons.npy --flow loc -o m.safetensors
    says "another command" 1 "rank 1 .* in its command line"
    mkdir -p elsewhere
    tail -c +2 moons.csv >elsewhere/moons.csv
    only_on 1 'cd elsewhere' differs
    expect "other data" 1 3 ./differs "$weir" fit moons.csv --flow loc -o m.safetensors
    says "other data" 1 "rank 1 .* in the file 'moons.csv'"
    echo one >m.safetensors.checkpoint
    echo two >elsewhere/m.safetensors.checkpoint
    expect "another checkpoint" 1 3 ./differs "$weir" fit --resume m.safetensors
    says "another checkpoint" 1 "rank 1 .* in the file 'm.safetensors.checkpoint'"
    rm m.safetensors.checkpoint elsewhere/m.safetensors.checkpoint
}

# When the work has begun, however busy the machine is.
begun='while [ ! -e m.safetensors.checkpoint ] && kill -0 $$; do sleep .01; done'

# A plug-in that one rank doesn't find is its own mistake; the others are at work when it is told.
faults() {
    cp "$build/ring.so" .
    only_on 2 'cd elsewhere' differs
    expect "a lone mistake" 1 3 ./differs "$weir" --plugin ./ring.so fit "$scratch/moons.npy" --flow 'maf(64,64)' \
        --epochs 1000000 --schedule constant -o "$scratch/m.safetensors"
    says "a lone mistake" 1 "^weir[^:]*: rank 2 of 3 (.*): plug-in './ring.so'"
    cp alone/fit.safetensors m.safetensors
    only_on 1 "($begun; kill -KILL \$\$) &" differs
    expect "a rank that is killed" 1 3 ./differs "$weir" fit "$scratch/moons.npy" --flow 'maf(64,64)' --epochs 1000000 \
        --schedule constant --checkpoint 1ms -o m.safetensors
    state=0
    "$weir" info m.safetensors >said || state=$?
    report "a rank that is killed leaves no model" $state
    report "a rank that is killed leaves something" "$(find . -name '.m.*' | wc -l)"
    rm m.safetensors.checkpoint
}

# A rank is killed as soon as there is a checkpoint; fewer ranks go on from that.
resumes() {
    mkdir one-piece pieces
    words="fit ../moons.npy --flow maf(64,64) --epochs 150 -o m.safetensors"
    only_on 1 "($begun; kill -KILL \$\$) &" differs
    # shellcheck disable=SC2086
    (cd one-piece && "$weir" $words >said)
    cd pieces
    # shellcheck disable=SC2086
    expect "a rank that is killed behind a checkpoint" 1 3 ../differs "$weir" $words --checkpoint 0.001s
    report "what is left is another number of files" $(($(find . -name '*m.*' | wc -l) != 1))
    expect "a resumed fit" 0 2 "$weir" fit --resume m.safetensors
    report "a resumed fit leaves something" $(($(find . -name '*m.*' | wc -l) != 1))
    cd ..
    state=0
    cmp one-piece/m.safetensors pieces/m.safetensors || state=1
    report "a resumed fit differs" $state
}

# signals RANK COMMAND …: what comes to one of them is the others' too.
signals() {
    only_on "$1" "($begun; kill -USR1 \$\$) &" differs
    shift
    rm -f m.safetensors
    expect "$1, interrupted" 1 3 ./differs "$weir" "$@" --checkpoint 1ms -o m.safetensors
    says "$1, interrupted" 1 "^weir $1: interrupted .*m.safetensors"
    state=0
    "$weir" info m.safetensors >said || state=$?
    report "$1, interrupted, leaves no model" $state
    rm -f m.safetensors.checkpoint
}

talk() {
    for plugin in mpi pieces; do
        expect "$plugin of $mpi" 0 3 "$build/weir-communicator" "$build/$plugin-$mpi.so"
        says "$plugin of $mpi" 1 "3 ranks talk"
    done
    status=0
    start_ranks 3 "$build/weir-communicator" "$build/mpi-$mpi.so" late || status=$?
    report "a barrier without rank 0, of $mpi: exit status $status" $((status != 42))
}

# The plug-in is found from where the command lies.
installed() {
    meson install -C "$build" --no-rebuild --quiet --destdir "$scratch/root"
    expect "the installed command" 0 2 "$(find root -path '*/bin/weir')" fit moons.npy --flow loc -o m.safetensors
    says "the installed command" 1 "^saved "
}

for file in "$weir" "$build/libweir.so"; do
    needs=0
    readelf -d "$file" | grep -i -e 'NEEDED.*mpi' && needs=1
    report "$file needs an MPI" $needs
done

"$weir" data moons -n 400 -o moons.csv >said
"$weir" data moons -n 400 -o moons.npy >said
"$weir" fit moons.npy --flow 'rqs(8)-flip' --epochs 2 -o model.safetensors >said
all alone env
first=true
for mpi in openmpi mpich; do
    launcher=mpirun.$mpi
    if ! command -v "$launcher" >/dev/null || ! [ -e "$build/mpi-$mpi.so" ]; then continue; fi
    talk
    if $first; then
        compare_ranks "1 3 4"
        mistakes
        differences
        faults
        resumes
        signals 1 fit moons.csv --flow 'maf(64,64)' --epochs 1000000 --schedule constant
        signals 2 vi 'gaussian(dim=3)' --flow 'iaf(8)' --iters 100000000
        installed
    else
        compare_ranks 3
    fi
    first=false
done
if $first; then
    echo "skipped: there is no MPI here (libopenmpi-dev and openmpi-bin, or libmpich-dev and mpich)"
    [ $failed -gt 0 ] || exit 77
fi
echo "processes: $passed passed, $failed failed"
[ $failed -eq 0 ]
