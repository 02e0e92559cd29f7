"""What Python costs beside C: log p of one row, log p of many, and a fit, of the same flow with the same seeds, by turns.

    PYTHONPATH=.build/python python3 tools/bench/python/overhead.py --build .build

Times are the processor's, of one thread, which other programs hardly change. Of each turn the ratio is taken, and the
median of those is printed with the least and the most; the results must be the same bits. PYTHONPATH is the folder that
tools/python/assemble made, as tests/python/run.sh does."""
import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import weir

HERE = pathlib.Path(__file__).resolve().parent
CALLS, FITTED = 2000, 2000  # as in overhead.c


def compiled(build: pathlib.Path, to: str) -> str:
    """The C side, with the library that the package has."""
    library = pathlib.Path(weir.__file__).with_name("libweir.so").resolve()
    faces = [f"-I{build / 'faces' / room}" for room in ("autodiff", "flows", "models")]
    subprocess.run(["cc", "-std=gnu17", "-O2", *faces, str(HERE / "overhead.c"), str(library), f"-Wl,-rpath,{library.parent}",
                    "-o", to], check=True)
    return to


def measured(flow: weir.Flow, x, formula: str, epochs: int, what: str) -> tuple[float, float]:
    """The processor's seconds, and what was computed."""
    fitted = weir.Flow(formula, dim=flow.dim) if what == "fit" else flow
    start = time.process_time()
    if what == "row":
        for _ in range(CALLS):
            result = flow.log_prob(x[0])
        return (time.process_time() - start) / CALLS, float(result)
    if what == "rows":
        log_prob = flow.log_prob(x)
        seconds = time.process_time() - start
        return seconds, sum(log_prob.tolist())
    report = fitted.fit(x[:FITTED], epochs=epochs, progress=False)
    return time.process_time() - start, report.best_nll


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=".build")
    parser.add_argument("--formula", default="(rqs(64,64)-flip)*4-standardize")
    parser.add_argument("--dim", type=int, default=2)
    parser.add_argument("--rows", type=int, default=10**6)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--turns", type=int, default=7)
    given = parser.parse_args()
    weir.set_threads(1)
    flow = weir.Flow(given.formula, dim=given.dim)
    x = flow.sample(given.rows, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        command = [compiled(given.build, f"{folder}/overhead"), given.formula, str(given.dim), str(given.rows),
                   str(given.epochs)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as c:
            assert c.stdin and c.stdout
            for what in ("row", "rows", "fit"):
                turns = []
                for _ in range(given.turns):
                    print(what, file=c.stdin, flush=True)
                    seconds, result = map(float, c.stdout.readline().split())
                    own, own_result = measured(flow, x, given.formula, given.epochs, what)
                    if own_result != result:
                        sys.exit(f"{what}: {own_result!r} by Python, {result!r} by C")
                    turns.append((own / seconds, own, seconds))
                ratios = [ratio for ratio, _, _ in turns]
                print(f"{what:5} Python {statistics.median(own for _, own, _ in turns):.4g} s, "
                      f"C {statistics.median(seconds for _, _, seconds in turns):.4g} s, "
                      f"ratio {statistics.median(ratios):.4f} ({min(ratios):.4f} to {max(ratios):.4f})", flush=True)


if __name__ == "__main__":
    main()
