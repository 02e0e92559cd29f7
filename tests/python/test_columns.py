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
    pandas.testing.assert_frame_equal(back, frame, check_exact=False)
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


def test_kinds_by_name(rng):
    table = {"share, in all": rng.uniform(size=50), 'a "b"': np.exp(rng.normal(size=50))}
    columns = weir.Columns(table, {"share, in all": "[0,2]", 'a "b"': "positive"})
    assert [column.kind for column in columns] == ["bounded", "positive"]
    assert weir.Columns(np.exp(rng.normal(size=(30, 2))), {2: "positive"})[1].kind == "positive"
    for wrong in (["positive"], {"share": 3}):
        with pytest.raises(weir.ArgumentError, match="what columns are is told as"):
            weir.Columns(table, wrong)


def test_categories_that_are_numbers():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"ward": pandas.Categorical([1, 2, 1, None])})
    columns = weir.Columns(frame)
    assert columns[0].kind == "category"
    pandas.testing.assert_frame_equal(columns.decode(columns.encode(frame)[0]), frame)
    assert str(columns) == repr(columns) == "ward: category: 2 different texts; missing in 25 % of the rows"
    stock = weir.Columns({"stock": ["100", "2,000"] * 20})
    assert "look like numbers: '2,000' is one" in str(stock)
    with pytest.raises(weir.ArgumentError, match="are called 'a'"):
        weir.Columns(pandas.DataFrame(np.ones((3, 2)), columns=["a", "a"]))


def test_samples_are_as_the_frame_was(rng):
    """Names, dtypes and labels, which are no text: also of a copy, and where the context is some of its columns."""
    pandas = pytest.importorskip("pandas")
    rows = 200
    frame = pandas.DataFrame({
        "flag": rng.random(rows) < 0.5, "grade": pandas.Categorical(rng.choice(["low", "high"], rows), ["low", "high", "top"], True),
        "bin": pandas.cut(rng.normal(size=rows), 3), "visits": pandas.array(rng.poisson(2, rows), dtype="Int64"),
        "small": rng.integers(0, 5, rows).astype(np.int8), "whole": rng.poisson(4, rows).astype(float),
        "mixed": rng.choice(np.array([1, "a", True], dtype=object), rows), 7: rng.normal(size=rows), "dropped": range(rows)})
    frame["dropped"] = frame["dropped"].map("id{}".format)
    frame.loc[3, "visits"] = pandas.NA
    columns = weir.Columns(frame)
    assert columns[8].kind == "dropped"
    flow = weir.Flow("loc", columns=columns)
    for own in (flow, pickle.loads(pickle.dumps(flow))):
        for n in (0, 50):
            draws = own.sample(n, seed=1)
            pandas.testing.assert_series_equal(draws.dtypes, frame.dtypes[:8])
            assert set(draws["flag"]) <= {True, False} and set(draws["mixed"]) <= {1, "a", True}
    given = weir.fit(frame, context=["flag", "bin"], flow="maf(4)", budget=3600)
    draws = given.sample(context=frame.iloc[:9], seed=1)
    pandas.testing.assert_series_equal(draws.dtypes, frame.dtypes[["grade", "visits", "small", "whole", "mixed", 7]])
    row = frame[["flag", "bin"]].iloc[0]
    pandas.testing.assert_frame_equal(given.sample(3, context=row, seed=1), given.sample(3, context=frame.iloc[:1], seed=1))
    flags = {"flag": frame["flag"].to_numpy()}  # no frame, whose labels are values all the same
    assert list(weir.Columns(flags).decode(weir.Columns(flags).encode(flags)[0])["flag"]) == list(flags["flag"])
    with pytest.raises(weir.ArgumentError, match="none is left"):
        weir.fit(frame[["flag", "bin"]], context=["flag", "bin"])


def test_numbers_that_a_dtype_cannot_have():
    """Of integers that are modelled as real numbers, or are drawn too large, the dtype isn't kept."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": np.array([1, 2, 3, 5] * 5, dtype=np.int8)})
    real, counted = weir.Columns(frame, "a:real"), weir.Columns(frame, "a:integer[0,1000]")
    for columns, number in ((real, 1.5), (counted, 900), (counted, 90)):
        drawn = columns.decode(columns.encode({"a": [number]})[0])["a"]
        assert drawn.tolist() == pytest.approx([number]) and (drawn.dtype == np.int8) == (number == 90)


def test_what_was_not_seen_is_told(rng):
    table = people(rng)
    flow = weir.Flow("loc", columns=weir.Columns(table))
    with pytest.warns(UserWarning, match="1 of 2 rows have density 0; .*'city'"):
        assert flow.log_prob({"children": [1, 1], "income": [20, 20], "city": ["Rome", "Paris"]})[1] == -np.inf
    given = weir.fit(table, context="city", flow="maf(4)", budget=3600)
    with pytest.warns(UserWarning, match="1 of 1 rows have a context beyond .*Paris"):
        given.sample(3, context={"city": "Paris"})


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
