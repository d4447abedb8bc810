"""Learning which choices matter: against functions whose dependencies are known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from hwnas.errors import HwnasError
from hwnas.latency.factor import NotFactored, factorise

COUNTS = (3, 2, 4, 5, 2, 3)


def describe(row):
    """`a` always; `b` only under choice 1; `c` depends on 5 only where 0, 1 and 4 have rare options."""
    nodes = {"a": ("a", row[0], row[2])}
    if row[1]:
        nodes["b"] = ("b", row[3])
    nodes["c"] = ("c", row[5] if (row[0], row[1], row[4]) == (2, 1, 1) else None)
    return nodes


def test_dependencies_are_exactly_those_of_the_function():
    factors = factorise(COUNTS, describe, np.random.default_rng(0))
    assert {node.name: node.choices for node in factors.nodes} == {"a": (0, 2), "b": (1, 3), "c": (0, 1, 4, 5)}


def test_tables_equal_the_function_everywhere():
    factors = factorise(COUNTS, describe, np.random.default_rng(1))
    rows = np.array(list(itertools.product(*map(range, COUNTS))))
    described = [describe(tuple(map(int, row))) for row in rows]
    for node in factors.nodes:
        indices = factors.indices(node, rows)
        assert [node.values[i] for i in indices] == [nodes.get(node.name) for nodes in described]


def test_expected_counts_are_the_mean_over_all_rows():
    factors = factorise(COUNTS, describe, np.random.default_rng(2))
    counts = factors.expected_counts()
    assert counts["b", 3] == pytest.approx(0.5 / 5)
    assert counts["a", 0, 0] == pytest.approx(1 / 12)
    assert sum(counts.values()) == pytest.approx(2.5)


def test_error_on_a_node_that_depends_on_everything():
    with pytest.raises(HwnasError, match="combinations"):
        factorise((7,) * 8, lambda row: {"all": row}, np.random.default_rng(0), quiet_draws=3)


@pytest.mark.parametrize(("counts", "most_values"), [((7,) * 8, math.inf), ((4,) * 5, 3000)])
def test_what_would_take_too_long_is_given_up_when_that_shows(counts, most_values):
    """Not after looking at all that was allowed: 7^8 combinations of one node, or 4^5 of graphs of three nodes."""
    looked = []

    def all_alike(row):
        looked.append(row)
        return dict.fromkeys("abc", row)

    with pytest.raises(NotFactored, match="combinations"):
        factorise(counts, all_alike, np.random.default_rng(0), most_values=most_values)
    assert len(looked) < 500
