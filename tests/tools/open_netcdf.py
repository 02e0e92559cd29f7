"""Open files of draws that Weir wrote with ArviZ: their groups are those of its InferenceData, their numbers those of the
same draws as text, and its summary is Weir's to the digits that it prints. Usage: open_netcdf.py WEIR [--seed N, which is
for other tests]. Exits with 77 (skipped) where a package, or libnetcdf, is missing."""
import json
import os
import subprocess
import sys
import tempfile

try:
    import arviz as az
    import numpy as np
    import xarray  # noqa: F401, for ArviZ
    import h5netcdf  # noqa: F401, for xarray
except ImportError as missing:
    print(f"skipped: {missing}; install it with: pip install arviz h5netcdf")
    print("open_netcdf: 0 passed, 0 failed")
    sys.exit(77)

SCHOOLS = "school,effect,standard_error\nA,28,15\nB,8,10\nC,-3,16\nD,7,11\nE,-1,9\nF,1,11\nG,18,10\nH,12,18\n"
EFFECT = [28, 8, -3, 7, -1, 1, 18, 12]
ERROR = [15, 10, 16, 11, 9, 11, 10, 18]
CHAINS, DRAWS = 4, 250

weir = os.path.realpath(sys.argv[1])
plugin = os.path.join(os.path.dirname(weir), "schools.so")


def run(*words):
    done = subprocess.run([weir, *words], capture_output=True, text=True)
    if done.returncode == 1 and "built without NetCDF" in done.stderr:
        print(f"skipped: {done.stderr.strip()}")
        print("open_netcdf: 0 passed, 0 failed")
        sys.exit(77)
    assert done.returncode == 0, done.stderr
    return done.stdout


def log_likelihood(posterior):
    theta = posterior["mu"].values[..., None] + posterior["tau"].values[..., None] * posterior["eta"].values
    return -0.5 * ((np.array(EFFECT) - theta) / ERROR) ** 2 - np.log(ERROR) - 0.5 * np.log(2 * np.pi)


def check_posterior(opened, chains, draws):
    posterior = opened["posterior"]
    assert posterior["mu"].dims == ("chain", "draw") and posterior["mu"].shape == (chains, draws)
    assert posterior["eta"].dims == ("chain", "draw", "eta_dim_0") and posterior["eta"].shape == (chains, draws, 8)
    assert list(posterior["chain"].values) == list(range(chains))
    assert posterior.attrs["inference_library"] == "weir"
    assert np.allclose(opened["log_likelihood"]["log_lik"].values, log_likelihood(posterior), rtol=0, atol=1e-10)
    assert list(opened["observed_data"]["effect"].values) == EFFECT
    assert "school" not in opened["observed_data"]


def check_statistics(statistics, table):
    for name in "lp", "acceptance_rate", "step_size", "tree_depth", "n_steps", "diverging", "energy":
        expected = table[name].reshape(CHAINS, DRAWS)
        assert np.array_equal(statistics[name].values, expected), name
    assert statistics["diverging"].dtype == bool and statistics["tree_depth"].dtype == np.int64


def check_summary(opened, told):
    """ArviZ rounds to the digits that it prints: a unit in the last place of each."""
    names = {"mean": "mean", "sd": "sd", "mcse_mean": "mcse_mean", "r_hat": "rhat", "ess_bulk": "ess_bulk", "ess_tail": "ess_tail"}
    exact = az.summary(opened, round_to="none") if az.__version__ >= "0.12" else az.summary(opened, round_to=12)
    assert len(exact) == len(told), (len(exact), len(told))
    for (label, row), ours in zip(exact.iterrows(), told):
        for theirs_name, name in names.items():
            if theirs_name in row:
                theirs = float(row[theirs_name])
                assert abs(theirs - ours[name]) <= 1e-6 * abs(theirs) + 1e-9, (label, name, theirs, ours[name])


with tempfile.TemporaryDirectory() as directory:
    os.chdir(directory)
    with open("schools.csv", "w") as file:
        file.write(SCHOOLS)
    words = ["nuts", plugin, "--data", "schools.csv", "--chains", str(CHAINS), "--tune", "300", "-n", str(DRAWS), "--json"]
    told = json.loads(run(*words, "-o", "draws.nc"))
    run(*words, "--stats", "-o", "draws.csv")
    table = np.genfromtxt("draws.csv", delimiter=",", names=True, deletechars="")
    opened = az.from_netcdf("draws.nc")
    check_posterior(opened, CHAINS, DRAWS)
    assert np.array_equal(opened["posterior"]["tau"].values, table["tau"].reshape(CHAINS, DRAWS))
    check_statistics(opened["sample_stats"], table)
    check_summary(opened, told["parameters"])
    assert np.isfinite(az.loo(opened).elpd_loo if hasattr(az.loo(opened), "elpd_loo") else az.loo(opened).elpd)

    run(*words, "--threads", "1", "-o", "again.nc")
    with open("draws.nc", "rb") as one, open("again.nc", "rb") as other:
        assert one.read() == other.read(), "other bytes at another number of threads"

    run("vi", plugin, "--data", "schools.csv", "--flow", "scale-loc", "--iters", "300", "--draws", "500", "-o", "fit.nc")
    opened = az.from_netcdf("fit.nc")
    check_posterior(opened, 1, 500)
    assert set(opened["sample_stats"].data_vars) == {"lp", "log_q"}
print("open_netcdf: 1 passed, 0 failed")
