"""Targets from Python: variational inference and NUTS of densities whose moments are known."""
import pickle
import signal

import numpy as np
import pytest

import weir

MEAN, SD = np.array([1.0, -2.0]), np.array([0.5, 3.0])


def normal(values):
    d = (values - MEAN) / SD
    return -0.5 * np.sum(d**2, axis=1) - np.log(SD).sum() - np.log(2 * np.pi), -d / SD


def exponential(values):
    """Of a positive number, with rate 2."""
    return np.log(2) - 2 * values[:, 0], np.full_like(values, -2)


def test_log_density_is_of_the_real_numbers(rng):
    target, z = weir.Target(normal, 2), rng.normal(size=(300, 2))
    np.testing.assert_allclose(target.log_density(z), normal(z)[0], rtol=1e-12)
    one_by_one = weir.Target(lambda value: tuple(part[0] for part in normal(value[None])), 2, rows=False)
    np.testing.assert_array_equal(one_by_one.log_density(z), target.log_density(z))
    positive = weir.Target(exponential, {"rate": weir.Site(1, "positive")})
    np.testing.assert_allclose(positive.log_density(z[:, :1]), np.log(2) - 2 * np.exp(z[:, 0]) + z[:, 0], rtol=1e-12)
    np.testing.assert_allclose(positive.constrain(z[:, :1]), np.exp(z[:, :1]), rtol=1e-12)


def test_a_call_has_many_rows(rng):
    rows = []

    def counted(values):
        rows.append(len(values))
        return normal(values)

    weir.Target(counted, 2).log_density(rng.normal(size=(4096, 2)))
    assert sum(rows) == 4096 and len(rows) <= 4096 / 64


def test_sites():
    target = weir.Target(lambda values: (-values.sum(1), -np.ones_like(values)),
                         {"mu": 1, "share": weir.Site(3, "simplex"), "cut": weir.Site(2, "ordered")})
    assert (target.dim, target.size) == (5, 6)
    assert target.elements == ["mu", "share[1]", "share[2]", "share[3]", "cut[1]", "cut[2]"]
    sites = target.sites(target.constrain(np.zeros((4, 5))))
    assert sites["mu"].shape == (4,) and sites["cut"].shape == (4, 2)
    np.testing.assert_allclose(sites["share"], 1 / 3)


def test_vi():
    inference = weir.vi(weir.Target(normal, 2), "scale-loc", iters=2000, learning_rate=0.05, schedule="cosine",
                        dtype="float64")
    summary = inference.summary()
    assert abs(inference.log_z) < 1e-3
    for i, name in enumerate(("x[1]", "x[2]")):
        assert abs(summary[name].mean - MEAN[i]) < 0.05 * SD[i] and abs(summary[name].sd / SD[i] - 1) < 0.05
    values = inference.sample(5, seed=1)["x"]
    np.testing.assert_allclose(inference.log_prob(values), normal(values)[0], atol=0.05)


def test_vi_without_settings():
    inference = weir.vi(weir.Target(exponential, {"rate": weir.Site(1, "positive")}), budget=3600, seed=3)
    assert abs(inference.summary()["rate"].mean - 0.5) < 0.03 and abs(inference.log_z) < 0.02
    assert inference.report.modes[0].held and inference.sample(10)["rate"].shape == (10,)


def test_nuts():
    draws = weir.nuts(weir.Target(normal, 2), draws=500, tune=300, chains=2)
    assert draws.values.shape == (2, 500, 2) and draws.sites["x"].shape == (2, 500, 2)
    for i, one in enumerate(draws.summary().values()):
        assert abs(one.mean - MEAN[i]) < 5 * one.mcse_mean and abs(one.sd - SD[i]) < 5 * one.mcse_sd
    assert draws.stats["divergent"].dtype == bool and not draws.stats["divergent"].any()
    np.testing.assert_allclose(draws.stats["log_density"], normal(draws.values.reshape(-1, 2))[0].reshape(2, 500))
    assert draws.stats["steps"].dtype == np.int64 and (draws.stats["steps"] < 2 ** (draws.stats["depth"] + 1)).all()


def test_what_is_told_prints_as_tables():
    draws = weir.nuts("eight_schools", draws=20, tune=50, chains=2)
    summary = draws.summary()
    lines = [line.split() for line in str(summary).splitlines()]
    assert [line[0] for line in lines[1:]] == list(summary) and len({len(line) for line in lines[1:]}) == 1
    assert float(lines[1][1 + lines[0].index("rhat")]) == pytest.approx(summary["mu"].rhat, rel=1e-4)
    assert dict(line.split(None, 1) for line in str(draws.report).splitlines())["chains"] == "2"
    report = weir.vi("eight_schools", "scale-loc", iters=100).report
    lines = str(report).splitlines()
    assert f"  khat         {report.score.khat:.5g}" in lines and lines[0].startswith("outcome ")
    assert any(line.startswith(f"history       [{len(report.history)} of ") for line in lines) and report.history[0].loss


def test_nuts_on_a_flow():
    """Neal's funnel, whose first number is N(0, 3²), with a flow in its place."""
    inference = weir.vi("funnel", "(iaf(16)-flip)*2-scale-loc", iters=300, learning_rate=0.01)
    draws = weir.nuts("funnel", inference.flow, draws=50, tune=100, chains=2)
    assert draws.values.shape[:2] == (2, 50) and np.isfinite(draws.values).all()


@pytest.mark.parametrize("run", [lambda target: weir.vi(target, "scale-loc", iters=10),
                                 lambda target: weir.vi(target), lambda target: weir.nuts(target),
                                 lambda target: target.log_density(np.zeros(2))])
def test_what_a_target_raises(run):
    def broken(values):
        raise ZeroDivisionError("in the target")

    with pytest.raises(ZeroDivisionError, match="in the target"):
        run(weir.Target(broken, 2))
    with pytest.raises(weir.ArgumentError, match=r"\(\d+,\) is expected"):
        run(weir.Target(lambda values: (0.0, values), 2))


def test_ctrl_c():
    calls = []

    def interrupted(values):
        calls.append(len(values))
        if len(calls) == 500:
            signal.raise_signal(signal.SIGINT)
        return normal(values)

    weir.set_threads(1)
    try:
        with pytest.raises(KeyboardInterrupt) as stopped:
            weir.vi(weir.Target(interrupted, 2), "scale-loc", iters=10**7)
    finally:
        weir.set_threads(0)
    assert len(calls) < 2000
    result = getattr(stopped.value, "result", None)
    assert result is None or result.report.iterations < 2000


@pytest.mark.parametrize("make, part", [
    (lambda: weir.Target(normal), "sites are missing"),
    (lambda: weir.Target("nothing"), "nothing"),
    (lambda: weir.Target("funnel", 2), "sites of its own"),
    (lambda: weir.Target(normal, {"x": weir.Site(2, "unknown")}), "must be one of real"),
    (lambda: weir.Target(normal, {"x": weir.Site(2, "interval", 1, 0)}), "low < high"),
    (lambda: weir.Target(normal, {"x": weir.Site(5, "correlation_cholesky")}), "K rows"),
    (lambda: weir.Target(normal, 0), "at least 1"),
    (lambda: weir.Target(normal, {"x": weir.Site(1, "simplex")}), "nothing free"),
    (lambda: weir.Target(normal, 2.0), "whole number"),
    (lambda: weir.Target(normal, {"x": weir.Site(-1)}), "size of 'x'"),
    (lambda: weir.Target(3, 2), "a name or a function"),
    (lambda: weir.vi(3), "a name or a function"),
    (lambda: weir.nuts("gaussian", "maf"), "what weir.vi"),
    (lambda: weir.Target(normal, {"a\0": 2}), "NUL"),
    (lambda: weir.nuts(weir.Target(lambda x: x, 2)), "a pair is expected"),
    (lambda: weir.nuts(weir.Target(lambda x: (0.0, np.zeros(2)), 2)), "rows=False"),
    (lambda: weir.nuts(weir.Target(lambda x: (0.0, 1.0), 2, rows=False)), "gradient of shape"),
    (lambda: weir.vi("funnel", iters=10, budget=3), "budget is of a fit without settings"),
    (lambda: weir.nuts("funnel", chains=-1), "must not be negative"),
])
def test_mistakes_are_told(make, part):
    with pytest.raises(weir.ArgumentError, match=part):
        make()


def test_nuts_on_an_inference():
    inference = weir.vi("gaussian", "affine", iters=200, seed=1)
    np.testing.assert_array_equal(weir.nuts("gaussian", inference, chains=1, tune=20, draws=20).values,
                                  weir.nuts("gaussian", inference.flow, chains=1, tune=20, draws=20).values)


def test_copies():
    of_name, of_function = weir.Target("funnel(dim=3)"), weir.Target(normal, {"mu": 1, "tau": weir.Site(1, "positive")})
    z = np.ones((2, 2))
    assert pickle.loads(pickle.dumps(of_name)).dim == 3
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(of_function)).log_density(z), of_function.log_density(z))
    draws = weir.nuts(of_function, chains=2, tune=20, draws=20)
    copy = pickle.loads(pickle.dumps(draws))
    np.testing.assert_array_equal(copy.sites["tau"], draws.sites["tau"])
    assert copy.summary().keys() == draws.summary().keys()


def test_a_fit_as_arviz_has_it():
    arviz = pytest.importorskip("arviz")
    fitted = weir.vi("eight_schools", "scale-loc", iters=50)
    opened = fitted.to_arviz(300, seed=2)
    drawn = fitted.sample(300, seed=2)
    np.testing.assert_array_equal(opened["posterior"]["theta_trans"].values, drawn["theta_trans"][None])
    assert opened["log_likelihood"]["log_lik"].shape == (1, 300, 8)
    assert "mu" in arviz.summary(opened).index


def test_draws_are_what_arviz_has():
    arviz = pytest.importorskip("arviz")
    draws = weir.nuts("eight_schools", chains=2, tune=50, draws=50)
    opened = draws.to_arviz()
    assert np.array_equal(opened["posterior"]["mu"].values, draws.sites["mu"])
    assert opened["posterior"]["theta_trans"].shape == (2, 50, 8)
    assert np.array_equal(opened["sample_stats"]["lp"].values, draws.stats["log_density"])
    assert "mu" in arviz.summary(opened).index
    assert opened["sample_stats"]["step_size"].shape == (2, 50)
    effect, error = np.array([28, 8, -3, 7, -1, 1, 18, 12]), np.array([15, 10, 16, 11, 9, 11, 10, 18])
    theta = draws.sites["mu"][..., None] + draws.sites["tau"][..., None] * draws.sites["theta_trans"]
    np.testing.assert_allclose(opened["log_likelihood"]["log_lik"].values,
                               -((effect - theta) / error) ** 2 / 2 - np.log(error) - np.log(2 * np.pi) / 2, rtol=1e-9)
    assert opened["log_likelihood"]["log_lik"].dims == ("chain", "draw", "obs_id")
    arviz.loo(opened)
    plain = weir.nuts(weir.Target(lambda x: (-(x**2).sum(1) / 2, -x), 2), chains=2, tune=20, draws=20)
    assert "log_likelihood" not in plain.to_arviz()
