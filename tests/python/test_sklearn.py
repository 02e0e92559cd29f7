"""The estimator for scikit-learn: its own checks, and where estimators are used."""
import signal
import threading

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import weir  # noqa: E402


@parametrize_with_checks([weir.FlowDensity("affine", epochs=2)])
def test_estimator(estimator, check):
    check(estimator)


def test_is_the_density(correlated):
    estimator = weir.FlowDensity("affine", epochs=20, learning_rate=0.02, dtype="float64", random_state=0).fit(correlated)
    covariance = np.cov(correlated.T)
    assert abs(estimator.score(correlated) + 0.5 * np.log(np.linalg.det(2 * np.pi * np.e * covariance))) < 0.01
    assert estimator.score_samples(correlated).shape == (2000,)
    draws = estimator.sample(5000, random_state=1)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.3)
    np.testing.assert_array_equal(clone(estimator).fit(correlated).score_samples(correlated[:9]),
                                  estimator.score_samples(correlated[:9]))


def test_in_a_pipeline_and_a_search(correlated):
    pipeline = make_pipeline(StandardScaler(), weir.FlowDensity(epochs=10, learning_rate=0.02, random_state=0))
    search = GridSearchCV(pipeline, {"flowdensity__formula": ["scale", "affine"]}, cv=2).fit(correlated)
    assert search.best_params_ == {"flowdensity__formula": "affine"}
    scores = search.cv_results_["mean_test_score"]
    # What the correlation is worth: -log(1 - r²) / 2.
    assert abs(scores[1] - scores[0] + 0.5 * np.log(1 - np.corrcoef(correlated.T)[0, 1] ** 2)) < 0.05


def test_data_frames(rng):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"count": rng.poisson(3, 300), "city": rng.choice(["Rome", "Oslo"], 300)})
    estimator = weir.FlowDensity("maf(8)", epochs=20, learning_rate=0.01, random_state=0).fit(frame)
    assert list(estimator.feature_names_in_) == ["count", "city"] and estimator.n_features_in_ == 2
    # Probabilities of what is counted and named: below 0, and near the entropy.
    assert -2.9 < estimator.score(frame) < -2.4
    draws = estimator.sample(50)
    assert set(draws["city"]) <= {"Rome", "Oslo"}
    pandas.testing.assert_series_equal(draws.dtypes, frame.dtypes)
    with pytest.raises(ValueError, match="feature names"):
        estimator.score_samples(frame.rename(columns={"city": "town"}))


def test_formulas(correlated):
    """They are scaled once, and messages are about what was given."""
    for formula in ("affine", "affine-standardize"):
        assert weir.FlowDensity(formula, epochs=1).fit(correlated).flow_.formula == "affine-standardize"
    assert weir.FlowDensity("student:loc", epochs=1).fit(correlated).flow_.formula == "student:loc-standardize"
    with pytest.raises(weir.ArgumentError, match=r"without a bijector\n  student\n *\^\n  valid here: ':' and a formula"):
        weir.FlowDensity("student").fit(correlated)


def test_without_settings(correlated):
    estimator = weir.FlowDensity(budget=1, random_state=0).fit(correlated, sample_weight=np.ones(2000))
    entropy = 0.5 * np.log(np.linalg.det(2 * np.pi * np.e * np.cov(correlated.T)))
    assert abs(estimator.score(correlated) + entropy) < 0.05 and len(estimator.flow_.report.candidates) > 0


@pytest.mark.parametrize("options", [{"formula": "(maf(16)-flip)*2", "epochs": 10**6}, {"budget": 3600}])
def test_interrupted(options, correlated):
    """What there is by then is the density."""
    estimator = weir.FlowDensity(random_state=0, **options)
    threading.Timer(1, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(correlated)
    assert np.isfinite(estimator.score(correlated))
