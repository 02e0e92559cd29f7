"""Tables: what columns are taken for, densities in their units, samples with their kinds; fits without settings."""
import decimal
import fractions
import pickle

import numpy as np
import pytest

import weir


def people(rng, rows=400):
    """Independent columns: a count, a positive amount with a missing value, and a label."""
    table = {"children": rng.poisson(2, rows), "income": rng.lognormal(3, 1, rows),
             "city": rng.choice(["Rome", "Oslo", "Quito"], rows, p=[0.5, 0.3, 0.2])}
    table["income"][3] = np.nan
    return table


def test_kinds_are_recognised(rng):
    columns = weir.Columns(people(rng))
    assert [column.kind for column in columns] == ["integer", "positive", "category"]
    assert columns.names == ["children", "income", "city"] and columns.noisy
    assert len(columns.feature_names) == columns.features == 4
    assert "positive" in str(columns)
    again = pickle.loads(pickle.dumps(columns))
    assert again.description == columns.description
    assert weir.Columns(people(rng), "children:real")[0].kind == "real"


def test_decoding_gives_back(rng):
    table = people(rng)
    columns = weir.Columns(table)
    features, log_weight = columns.encode(table)
    back = columns.decode(features)
    assert features.shape == (400, 4) and np.isfinite(log_weight).all()
    assert list(back["city"]) == list(table["city"]) and list(back["children"]) == list(table["children"])
    np.testing.assert_allclose(back["income"], table["income"], rtol=1e-9)


def test_probabilities_of_labels(rng):
    """Of a category alone, with a standard normal on its feature, log p is that of the smoothed shares."""
    table = {"city": people(rng)["city"]}
    columns = weir.Columns(table)
    flow = weir.Flow("loc", columns=columns, dtype="float64")
    labels, counts = np.unique(table["city"], return_counts=True)
    expected = np.log((counts + 0.5) / (counts.sum() + 1.5))
    np.testing.assert_allclose(flow.log_prob({"city": labels}, draws=1000), expected, atol=1e-9)


def test_fit_to_a_table(rng, tmp_path):
    table = people(rng)
    flow = weir.Flow("(maf(16)-flip)*2-standardize", columns=weir.Columns(table))
    flow.fit(table, epochs=60, learning_rate=0.01)
    shuffled = {name: table[name] for name in ("city", "income", "children")}
    np.testing.assert_array_equal(flow.log_prob(shuffled), flow.log_prob(table))
    # A count of mean 2, an amount of a lognormal, and a label: in other units it would be off by some nats.
    count = sum(p * np.log(p) for p in np.exp(-2) * np.cumprod([1] + [2 / k for k in range(1, 20)]))
    label = sum(p * np.log(p) for p in (0.5, 0.3, 0.2))
    assert abs(-flow.log_prob(table).mean() - (0.5 * np.log(2 * np.pi * np.e) + 3 - count - label)) < 0.3
    draws = flow.sample(1000, seed=1)
    assert set(draws["city"]) == {"Rome", "Oslo", "Quito"} and abs(np.mean(draws["children"]) - 2) < 0.4
    flow.save(tmp_path / "people.safetensors")
    np.testing.assert_array_equal(weir.load(tmp_path / "people.safetensors").log_prob(table), flow.log_prob(table))
    with pytest.raises(weir.FormatError, match="lacks the column 'income'"):
        flow.log_prob({"city": table["city"], "children": table["children"]})


def test_context_by_name(rng):
    age = rng.uniform(20, 60, 200)
    table = {"age": age, "weight": 40 + age + rng.normal(size=200)}
    density = weir.fit(table, context="age", flow="maf(4)", budget=3600)
    draws = density.sample(300, context={"age": [50.0]}, seed=1)
    for same in ({"age": 50}, [50]):
        np.testing.assert_array_equal(density.sample(300, context=same, seed=1)["weight"], draws["weight"])
    assert abs(np.mean(draws["weight"]) - 90) < 2 and list(draws) == ["weight"]
    np.testing.assert_array_equal(density.log_prob(table), density.log_prob({"weight": table["weight"]},
                                                                            {"age": table["age"]}))
    with pytest.raises(weir.ArgumentError, match="'height', which is no column"):
        weir.fit(table, context=["height"])


def test_data_frames(rng):
    pandas = pytest.importorskip("pandas")
    table = people(rng)
    frame = pandas.DataFrame(table).convert_dtypes()
    frame["city"] = frame["city"].astype("category")
    columns = weir.Columns(frame)
    assert columns.description == weir.Columns(table).description
    back = columns.decode(columns.encode(frame)[0])
    assert isinstance(back, pandas.DataFrame) and back["children"].dtype == np.int64
    by_index = weir.fit(frame, context=frame.columns[:1], flow="maf(4)", budget=3600)
    assert by_index.context_columns.names == [frame.columns[0]]
    with pytest.raises(weir.ArgumentError, match="'when' has times"):
        weir.Columns({"when": pandas.to_datetime(["2026-01-01", "2026-01-02"])})


@pytest.mark.parametrize("table, part", [
    ({}, "no columns"), ({"a": 3}, "must be a vector"), ({"a": np.ones((3, 2))}, "must be a vector"),
    ({"a": "text"}, "must be a vector"), ({"a": [1, 2], "b": [1]}, "as many rows"), ({1: [1, 2], "1": [1, 2]}, "are called '1'"),
    ({"a": np.ones(3) * 1j}, "complex"), ({"a\0": [1, 2, 3.5]}, "NUL"), ({"a": ["x\0", "x", "y"]}, "NUL"), (3, "shape"),
])
def test_tables_that_are_refused(table, part):
    with pytest.raises(weir.ArgumentError, match=part):
        weir.Columns(table)


def test_numbers_of_other_kinds():
    assert weir.Columns({1: [1.5, 2.5, 3]}).names == ["1"]
    exact = weir.Columns({"a": [decimal.Decimal("1.5"), 2, fractions.Fraction(1, 3)]})
    assert exact[0].kind == "real"
    masked = np.ma.masked_greater([[1.5], [2.5], [9]], 5)  # where what is masked is missing
    for table in (masked, {"a": masked[:, 0]}):
        assert weir.Columns(table)[0].missing == pytest.approx(1 / 3)


def test_counts_are_checked(rng):
    table = {"children": rng.poisson(2, 50)}
    columns = weir.Columns(table)
    flow = weir.Flow("scale-loc", columns=columns)
    assert list(flow.sample(0)) == ["children"]
    for call in (lambda: flow.log_prob(table, draws=-1), lambda: flow.log_prob(table, seed=1.5),
                 lambda: columns.encode(table, seed=-1), lambda: columns.decode("text")):
        with pytest.raises(weir.ArgumentError, match="must be"):
            call()


def test_categories_that_are_numbers():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"ward": pandas.Categorical([1, 2, 1, None])})
    columns = weir.Columns(frame)
    assert columns[0].kind == "category"
    decoded = list(columns.decode(columns.encode(frame)[0])["ward"])
    assert decoded[:3] == ["1", "2", "1"] and pandas.isna(decoded[3])  # None; NaN since pandas 3
    with pytest.raises(weir.ArgumentError, match="are called 'a'"):
        weir.Columns(pandas.DataFrame(np.ones((3, 2)), columns=["a", "a"]))


def test_fit_without_settings(correlated):
    told = []
    density = weir.fit(correlated, budget=1, progress=told.append)  # the normal is tried in any case
    entropy = 0.5 * np.log(np.linalg.det(2 * np.pi * np.e * np.cov(correlated.T)))
    assert abs(-density.log_prob(correlated).mean() - entropy) < 0.05
    assert density.report.candidates[0].formula == "whiten" and told
    assert density.sample(3).shape == (3, 2) and density.columns is None
    with pytest.raises(weir.ArgumentError, match="rows, columns"):
        weir.fit(np.zeros(5))
    with pytest.raises(weir.ArgumentError, match="array of numbers|of numbers"):
        weir.fit([["a"], ["b"]])
