"""The package's types: mypy has nothing to say of it, and finds what is wrong in a user's file."""
import pathlib

import pytest

api = pytest.importorskip("mypy.api")

import weir  # noqa: E402

CONFIGURATION = pathlib.Path(__file__).parents[2] / "tools" / "python" / "pyproject.toml"


@pytest.fixture(autouse=True)
def package(monkeypatch):
    folder = pathlib.Path(weir.__file__).resolve().parent.parent
    if folder.name != "site-packages":  # where mypy looks anyway
        monkeypatch.setenv("MYPYPATH", str(folder))


def test_of_the_package(tmp_path):
    said, faults, status = api.run(["--config-file", str(CONFIGURATION), "--cache-dir", str(tmp_path), "-p", "weir"])
    assert status == 0, said + faults


def test_of_a_user(tmp_path):
    (tmp_path / "user.py").write_text("""import weir
flow = weir.Flow("affine", dim=2)
flow.fit([[1, 2]], epochs=3).outcome
flow.fit([[1, 2]], epoch=3)
weir.nuts(weir.Target(lambda x: (x, x), {"mu": 1, "tau": weir.Site(1, "positive")}), draws="many")
""")
    said, _, status = api.run(["--strict", "--follow-imports", "silent", "--cache-dir", str(tmp_path / "cache"),
                               str(tmp_path / "user.py")])
    lines = [line for line in said.splitlines() if "user.py" in line and ": error:" in line]
    assert status == 1 and len(lines) == 2 and "epoch" in lines[0] and "draws" in lines[1], said
