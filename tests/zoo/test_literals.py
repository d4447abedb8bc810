"""Texts of published notations: data is read, everything else refused with its place, nothing executed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.errors import GenotypeError
from hwnas.zoo.notation.literals import Call, read_literals


def test_assignments_arrays_and_json() -> None:
    text = "path = [0, 1,\n 2]\ncell = np.array([[0, -7], (1, .5)])\nname = 'x'"
    assert read_literals(text) == {"path": [0, 1, 2], "cell": [[0, -7], [1, 0.5]], "name": "x"}
    assert read_literals('{"path": [0, 1], "deep": {"a": [true, null]}}') == {
        "path": [0, 1],
        "deep": {"a": [True, None]},
    }
    assert read_literals("[1, 2]") == {"": [1, 2]}


def test_declared_names_may_be_called() -> None:
    text = "DARTS = Genotype(normal=[('sep_conv_3x3', 1)], normal_concat=[2, 3])"
    call = read_literals(text, calls={"Genotype"})["DARTS"]
    assert call == Call("Genotype", (), {"normal": [["sep_conv_3x3", 1]], "normal_concat": [2, 3]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path = [0, 1", "does not parse: '[' was never closed in line 1, column 8"),
        ("path = [0, 1]\ncell = [1 2]", "line 2, column 9"),
        ("import os", "line 1, column 1: this is code"),
        ("path = [0,\n __import__('os').system('true')]", "line 2, column 2: this calls something"),
        ("path = open('x')", "this calls open"),
        ("path = np.array(open('x'))", "this calls open"),
        ("path = [i for i in range(3)]", "line 1, column 8: this is code"),
        ("path = other", "this is the name 'other'"),
        ("path = 1 + 1", "this is code"),
        ("path = f'{1}'", "this is code"),
        ("a.b = 1", "is not a name to assign to"),
        ("a = 1\na = 2", "line 2, column 1: this gives 'a' a second time"),
        ("[1]\n[2]", "is a second value"),
        ("x = {**y}", "is not a key"),
        ("x = 1j", "this is code"),
        ("x = " + "(" * 5000, "does not parse"),
        ("x = '\0'", "does not parse"),
        ("x = -'a'", "this is code"),
        ("#" * 1_000_001, "longer than"),
    ],
)
def test_error_on_what_is_not_data(text: str, message: str) -> None:
    with pytest.raises(GenotypeError) as caught:
        read_literals(text)
    assert message in str(caught.value)


def test_nothing_is_executed(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    for text in (f"x = open({str(trap)!r}, 'w')", f"Genotype(normal=open({str(trap)!r}, 'w'))"):
        with pytest.raises(GenotypeError):
            read_literals(text, calls={"Genotype"})
    assert not trap.exists()


plain = st.recursive(
    st.integers(-99, 99) | st.text(max_size=5) | st.booleans() | st.none() | st.floats(allow_nan=False, width=16),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(plain)
def test_whatever_python_prints_of_plain_data_is_read_back(value: object) -> None:
    if value != value or value in (float("inf"), float("-inf")) or "inf" in repr(value):
        return
    assert read_literals(f"x = {value!r}")["x"] == value


@given(st.text(max_size=60))
def test_any_text_is_data_or_one_clear_error(text: str) -> None:
    with contextlib.suppress(GenotypeError):
        assert isinstance(read_literals(text), Mapping)
