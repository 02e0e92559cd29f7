"""Flows: against NumPy's densities and closed forms; shapes, errors, files and copies."""
import copy
import inspect
import multiprocessing
import os
import pickle
import signal
import threading

import numpy as np
import pytest

import weir


def normal_flow(dtype="float64"):
    """N(μ, diag σ²): its parameters are ρ with σ = softplus(ρ)."""
    flow = weir.Flow("scale-loc", dim=2, dtype=dtype)
    mean, sd = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    parameters = flow.parameters
    parameters["0.scale.rho"][:] = np.log(np.expm1(sd))
    parameters["1.loc.loc"][:] = mean
    return flow, mean, sd


def normal_log_prob(x, mean, sd):
    return np.sum(-0.5 * ((x - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi), axis=-1)


@pytest.mark.parametrize("activation", ["relu", "tanh", "elu", "silu", "chain"])
def test_log_prob_equals_numpy(golden, activation):
    points = np.loadtxt(golden / "maf_points.csv", delimiter=",", skiprows=1)
    with open(golden / "maf_log_prob.csv") as file:
        names = file.readline().strip().split(",")
    expected = np.loadtxt(golden / "maf_log_prob.csv", delimiter=",", skiprows=1)[:, names.index(activation)]
    flow = weir.load(golden / f"maf_{activation}.safetensors")
    np.testing.assert_allclose(flow.log_prob(points), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 1e-5)])
def test_parameters_are_the_flow_s_own(rng, dtype, tolerance):
    flow, mean, sd = normal_flow(dtype)
    x = rng.normal(size=(7, 2))
    np.testing.assert_allclose(flow.log_prob(x), normal_log_prob(x, mean, sd), rtol=tolerance, atol=tolerance)
    assert flow.trained.dtype == flow.dtype == dtype
    flow.trained[:] = 0
    assert not any(array.any() for array in flow.parameters.values())


def test_arrays_outlive_their_flow():
    parameters = weir.Flow("maf(8)", dim=3, seed=5).parameters
    again = weir.Flow("maf(8)", dim=3, seed=5)
    for name, array in again.parameters.items():
        np.testing.assert_array_equal(parameters[name], array)


def test_shapes(rng):
    flow, mean, sd = normal_flow()
    x = rng.normal(size=(3, 4, 2))
    assert flow.log_prob(x).shape == (3, 4)
    assert np.shape(flow.log_prob(x[0, 0])) == () and flow.log_prob(x[0, 0]) == flow.log_prob(x)[0, 0]
    assert flow.log_prob(np.empty((0, 2))).shape == (0,)
    np.testing.assert_array_equal(flow.log_prob(x.transpose(1, 0, 2)), flow.log_prob(x).T)
    np.testing.assert_array_equal(flow.log_prob(x.astype(">f8")), flow.log_prob(x))
    np.testing.assert_array_equal(flow.log_prob(x.tolist()), flow.log_prob(x))
    assert flow.sample().shape == (1, 2) and flow.sample(5).shape == (5, 2) and flow.sample(0).shape == (0, 2)


def test_forward_and_inverse(rng):
    flow, mean, sd = normal_flow()
    z = rng.normal(size=(5, 2))
    x, log_det = flow.forward(z)
    np.testing.assert_allclose(x, mean + sd * z, rtol=1e-12)
    np.testing.assert_allclose(log_det, np.full(5, np.log(sd).sum()), rtol=1e-12)
    back, back_log_det = flow.inverse(x)
    np.testing.assert_allclose(back, z, rtol=0, atol=1e-12)
    np.testing.assert_allclose(back_log_det, -log_det, rtol=1e-12)


def test_samples():
    flow, mean, sd = normal_flow()
    x, log_prob = flow.sample_and_log_prob(20000, seed=3)
    assert np.all(np.abs(x.mean(0) - mean) < 4 * sd / np.sqrt(20000))
    np.testing.assert_allclose(log_prob, normal_log_prob(x, mean, sd), rtol=1e-12)
    np.testing.assert_array_equal(flow.sample(10, seed=3), x[:10])
    assert not np.array_equal(flow.sample(10), flow.sample(10))


def test_fit_finds_a_normal(correlated):
    flow = weir.Flow("affine-standardize", dim=2, dtype="float64")
    report = flow.fit(correlated, epochs=30, learning_rate=0.02, val_fraction=0)
    assert report.outcome == "finished" and len(report.history) == 30 and report.val_rows == 0
    covariance = np.cov(correlated.T, bias=True)
    entropy = 0.5 * np.log(np.linalg.det(2 * np.pi * np.e * covariance))
    assert entropy - 1e-9 <= -flow.log_prob(correlated).mean() < entropy + 2e-3


def test_weights_and_validation(correlated):
    weights = np.zeros(len(correlated))
    weights[:100] = 1
    flow = weir.Flow("whiten", dim=2, dtype="float64")
    report = flow.fit(correlated, weights=weights, validation=correlated[100:], epochs=1)
    assert report.val_rows == len(correlated) - 100
    kept = correlated[:100]
    expected = 0.5 * np.log(np.linalg.det(2 * np.pi * np.e * np.cov(kept.T, bias=True)))
    assert abs(-flow.log_prob(kept).mean() - expected) < 0.05


def test_context(rng):
    context = rng.normal(size=(4000, 1))
    x = np.hstack([2 * context, -context]) + 0.1 * rng.normal(size=(4000, 2))
    flow = weir.Flow("(maf(16)-flip)*2-standardize", dim=2, context=1)
    flow.fit(x, context, epochs=15, learning_rate=0.01)
    draws = flow.sample(500, context=[1.0], seed=1)
    assert np.all(np.abs(draws.mean(0) - [2, -1]) < 0.1)
    assert flow.sample(context=context[:7]).shape == (7, 2)
    with pytest.raises(weir.ArgumentError, match="needs a context"):
        flow.log_prob(x)
    with pytest.raises(weir.ArgumentError, match="one for each, or one for all"):
        flow.log_prob(x, context[:3])


def test_progress_and_stopping(correlated):
    told = []
    flow = weir.Flow("affine-standardize", dim=2)
    report = flow.fit(correlated, epochs=10, progress=lambda now: told.append(now) or now.epoch < 3)
    assert [now.epoch for now in told] == [1, 2, 3] and report.outcome == "stopped_by_caller"
    with pytest.raises(ZeroDivisionError):
        flow.fit(correlated, epochs=10, progress=lambda now: 1 / 0)


def test_ctrl_c_keeps_the_best(correlated):
    flow = weir.Flow("(rqs(16)-flip)*2-standardize", dim=2)

    def progress(now):
        if now.epoch == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as stopped:
        flow.fit(correlated, epochs=100000, progress=progress)
    assert stopped.value.result.outcome == "stopped_by_caller"
    best = stopped.value.result.history[stopped.value.result.best_epoch - 1]
    assert stopped.value.result.best_nll == best.val_nll and np.isfinite(flow.log_prob(correlated)).all()


def test_other_threads_run_meanwhile(correlated):
    flow, ran = weir.Flow("(rqs(64,64)-flip)*4-standardize", dim=2), threading.Event()
    threading.Timer(0.05, ran.set).start()
    flow.fit(correlated, epochs=1000000, progress=lambda now: not ran.is_set())
    assert ran.is_set()


@pytest.mark.parametrize("make, exception, part", [
    (lambda: weir.Flow("rqs(", dim=2), ValueError, "valid here"),
    (lambda: weir.Flow("maf"), weir.ArgumentError, "dim is missing"),
    (lambda: weir.Flow("maf", dim=2, dtype="float16"), weir.ArgumentError, "float32, float64"),
    (lambda: weir.load("/nowhere/model.safetensors"), OSError, "/nowhere/model.safetensors"),
    (lambda: weir.Flow("maf", dim=2).log_prob(np.zeros((3, 4))), weir.ArgumentError, "2 numbers in its last axis"),
    (lambda: weir.Flow("maf", dim=1).log_prob(np.zeros(4)), weir.ArgumentError, r"reshape\(-1, 1\)"),
    (lambda: weir.Flow("maf", dim=2).log_prob("text"), weir.ArgumentError, "array of numbers"),
    (lambda: weir.Flow("maf", dim=2).log_prob(np.zeros(2), context=[1]), weir.ArgumentError, "unconditional"),
    (lambda: weir.Flow("maf", dim=2).fit(np.zeros((9, 2)), epoch=1), TypeError, "did you mean 'epochs'"),
    (lambda: weir.Flow("maf", dim=2).fit(np.zeros((9, 2)), epochs=0), weir.ArgumentError, "must not be 0"),
    (lambda: weir.Flow("maf", dim=2).fit(np.zeros((9, 2)), epochs=1.5), weir.ArgumentError, "epochs"),
    (lambda: weir.Flow("maf", dim=2).fit(np.zeros((9, 2)), shuffle="no"), weir.ArgumentError, "blocks, rows"),
    (lambda: weir.Flow("maf", dim=2).fit(np.full((9, 2), np.nan)), weir.Error, "nan"),
    (lambda: weir.Flow("maf", dim=2).fit(np.zeros((9, 2)), epochs="2"), weir.ArgumentError, "epochs must be a number"),
    (lambda: weir.Flow("maf", dim=2).fit(np.zeros((9, 2)), optimizer=3), weir.ArgumentError, "optimizer must be text"),
    (lambda: weir.Flow("maf", dim=2).fit(np.zeros((9, 2)), seed=None), weir.ArgumentError, "seed must be a whole number"),
    (lambda: weir.Flow("maf", dim=-1), weir.ArgumentError, "dim must be from 0"),
    (lambda: weir.Flow("maf", dim=2.0), weir.ArgumentError, "dim must be a whole number"),
    (lambda: weir.Flow("maf", dim=2).sample(-1), weir.ArgumentError, "n must be from 0"),
    (lambda: weir.Flow("maf", dim=2).sample((2, 3)), weir.ArgumentError, "n must be a whole number"),
    (lambda: weir.Flow("maf", dim=2).log_prob(np.ones((1, 2)) * 1j), weir.ArgumentError, "complex"),
    (lambda: weir.fit(np.zeros(9)), weir.ArgumentError, r"reshape\(-1, 1\)"),
    (lambda: weir.fit(np.zeros((9, 2)), budget=-1), weir.ArgumentError, "positive number of seconds"),
    (lambda: weir.fit(np.zeros((9, 2)), budget="5m"), weir.ArgumentError, "positive number of seconds"),
    (lambda: weir.fit(np.zeros((9, 2)), dtype="float16"), weir.ArgumentError, "float32, float64"),
    (lambda: weir.vi("banana", dtype=None), weir.ArgumentError, "float32, float64"),
    (lambda: weir.Flow("maf\0junk", dim=2), weir.ArgumentError, "NUL"),
    (lambda: weir.Flow("maf", dim=2).save("a\0b"), weir.ArgumentError, "NUL"),
    (lambda: weir.Flow("maf", columns=["a"]), weir.ArgumentError, "weir.Columns"),
    (lambda: weir.Flow("maf", dim=7, columns=weir.Columns({"a": [1.5, 2, 3]})), weir.ArgumentError, "leave it out"),
    (lambda: weir.Flow("maf", dim=1).log_prob(np.array(["2026-01-01"], "M8[D]")), weir.ArgumentError, "datetime64"),
    (lambda: weir.Flow("maf", dim=1).log_prob([10**400]), weir.ArgumentError, "too large"),
    (lambda: weir.Flow("maf", dim=2).fit(np.zeros((9, 2)), weights="x"), weir.ArgumentError, "weights must be an array"),
    (lambda: weir.Flow("maf", dim=2).fit(np.zeros((9, 2)), progress=3), weir.ArgumentError, "progress must be"),
    (lambda: weir.Flow("maf", dim=2).fit(np.zeros((9, 2)), validation_context=[1]), weir.ArgumentError, "of validation"),
    (lambda: weir.Flow("maf", dim=2).sample_gradient(3.0, seed=1), weir.ArgumentError, "n must be a whole number"),
    (lambda: weir.Flow("maf", dim=2).sample_gradient(3, seed=-1), weir.ArgumentError, "seed must be"),
    (lambda: weir.fit(np.zeros((9, 2)), context=np.zeros(9)), weir.ArgumentError, "context must be of shape"),
    (lambda: weir.set_threads("2"), weir.ArgumentError, "threads must be a whole number"),
    (lambda: weir.set_threads(2**40), weir.ArgumentError, "1024"),
])
def test_mistakes_are_told(make, exception, part):
    with pytest.raises(exception, match=part):
        make()


def test_numbers_of_other_kinds(rng):
    flow = weir.Flow("maf(8)", dim=2, dtype=np.float64)
    assert flow.dtype == np.float64
    wide = rng.normal(size=(6, 4))
    expected = flow.log_prob(wide[::2, ::2].copy())
    for same in (wide[::2, ::2], np.asfortranarray(wide[::2, ::2]), wide[::2, ::2].astype(">f8"), wide[::2, ::2].tolist()):
        np.testing.assert_array_equal(flow.log_prob(same), expected)
    assert flow.log_prob(np.empty((0, 2))).shape == (0,)
    # What is masked is missing, and its log-density isn't that of the number behind the mask.
    np.testing.assert_array_equal(np.isnan(flow.log_prob(np.ma.masked_greater([[0, 1], [0, 9]], 5))), [False, True])


def test_files_and_copies(tmp_path, correlated):
    flow = weir.Flow("student(df=5):(maf(8)-permute)*2-standardize", dim=2)
    flow.fit(correlated, epochs=2)
    flow.parameters["0.maf.bias0"][:] += 1
    flow.save(tmp_path / "flow.safetensors")
    for other in (weir.load(tmp_path / "flow.safetensors"), pickle.loads(pickle.dumps(flow)), copy.deepcopy(flow)):
        assert repr(other) == repr(flow)
        np.testing.assert_array_equal(other.log_prob(correlated), flow.log_prob(correlated))
        np.testing.assert_array_equal(other.sample(5, seed=1), flow.sample(5, seed=1))


def test_gradients_of_log_prob(rng):
    flow = weir.Flow("(maf(8)-flip)*2", dim=3, context=2, dtype="float64")
    flow.trained[:] = rng.normal(size=len(flow.trained)) / 3
    x, context, weight = rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), rng.normal(size=5)
    log_prob, of_x, of_context, of_trained = flow.log_prob_gradient(x, context, weight=weight)
    np.testing.assert_array_equal(log_prob, flow.log_prob(x, context))
    for array, gradient in ((x, of_x), (context, of_context), (flow.trained, of_trained)):
        np.testing.assert_allclose(gradient, differences(lambda: weight @ flow.log_prob(x, context), array), atol=1e-7)


def test_gradients_of_draws(rng):
    flow = weir.Flow("mixture(components=2):(maf(8)-flip)*2", dim=3, context=2, dtype="float64")
    flow.trained[:] = rng.normal(size=len(flow.trained)) / 3
    context, weight, of_draws = rng.normal(size=(5, 2)), rng.normal(size=5), rng.normal(size=(5, 3))

    def value():
        x, log_prob = flow.sample_and_log_prob(5, context, seed=7)
        return np.sum(of_draws * x) + weight @ log_prob

    of_context, of_trained = flow.sample_gradient(5, context, seed=7, x_weight=of_draws, weight=weight)
    np.testing.assert_allclose(of_context, differences(value, context), atol=1e-6)
    np.testing.assert_allclose(of_trained, differences(value, flow.trained), atol=1e-6)


def differences(value, array, step=1e-5):
    """The gradient of value() with respect to an array, in place, by central differences."""
    gradient = np.empty(array.shape)
    for i in np.ndindex(array.shape):
        kept = array[i]
        array[i] = kept + step
        above = value()
        array[i] = kept - step
        gradient[i] = (above - value()) / (2 * step)
        array[i] = kept
    return gradient


def test_same_bits_with_any_threads(rng):
    flow, x = weir.Flow("(rqs(8)-flip)*2", dim=2), rng.normal(size=(1000, 2))
    expected = flow.log_prob(x)
    try:
        weir.set_threads(1)
        np.testing.assert_array_equal(flow.log_prob(x), expected)
    finally:
        weir.set_threads(0)
    with pytest.raises(weir.ArgumentError):
        weir.set_threads(-1)


def test_many_rows_are_as_few(rng):
    """Many rows are several calls of the library."""
    flow, rows = weir.Flow("(rqs(8)-flip)*2", dim=2, context=1), 9000
    x, context = rng.normal(size=(rows, 2)), rng.normal(size=(rows, 1))
    last = slice(rows - 50, rows)
    np.testing.assert_array_equal(flow.log_prob(x, context)[last], flow.log_prob(x[last], context[last]))
    for whole, part in zip(flow.inverse(x, context), flow.inverse(x[last], context[last])):
        np.testing.assert_array_equal(whole[last], part)
    draws, log_prob = flow.sample_and_log_prob(rows, context, seed=1)
    np.testing.assert_array_equal(log_prob[:50], flow.sample_and_log_prob(50, context[:50], seed=1)[1])
    np.testing.assert_allclose(log_prob, flow.log_prob(draws, context), atol=1e-3)


def test_ctrl_c_between_rows():
    """Of draws that would take minutes."""
    flow = weir.Flow("(maf(64,64)-flip)*8", dim=8)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        flow.sample(10**7)


def test_threads_may_change_during_a_fit(correlated):
    """The ones that it began with stay until it is done."""
    flow, others = weir.Flow("maf(8)-standardize", dim=2), weir.Flow("maf(8)-standardize", dim=2)
    expected = others.fit(correlated, epochs=5, progress=False).best_nll
    try:
        found = flow.fit(correlated, epochs=5, progress=lambda now: weir.set_threads(1 + now.epoch % 2))
    finally:
        weir.set_threads(0)
    assert found.best_nll == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_process(correlated):
    """The threads of its parent aren't there any more."""
    flow = weir.Flow("(rqs(8)-flip)*2", dim=2)
    expected = flow.log_prob(correlated)
    with multiprocessing.get_context("fork").Pool(2) as children:
        found = children.map(flow.log_prob, [correlated[:1000], correlated[1000:]])
    np.testing.assert_array_equal(np.concatenate(found), expected)


def test_everything_is_documented():
    public = {name: getattr(weir, name) for name in weir.__all__}
    for name, kind in list(public.items()):
        if inspect.isclass(kind):
            public |= {f"{name}.{own}": getattr(kind, own) for own in vars(kind) if not own.startswith("_")}
    public = {name: what for name, what in public.items() if callable(what) or isinstance(what, property)}
    assert len(public) > 60 and [name for name, what in public.items() if not inspect.getdoc(what)] == []


def test_lists_of_names():
    assert {"maf", "rqs"} <= set(weir.bijectors()) and "student" in weir.distributions()
    assert "adam" in weir.optimizers() and "cosine" in weir.schedules() and "elbo" in weir.objectives()
    assert "funnel" in weir.targets() and all(weir.bijectors().values())
    assert "tanh" in weir.activations() and weir.transformers() and weir.conditioners()
