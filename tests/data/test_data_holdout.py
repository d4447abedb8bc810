from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.data.holdout import split_blocks
from hwnas.errors import DataError


def _runs(indices: np.ndarray) -> int:
    return 1 + int((np.diff(indices) > 1).sum())


@given(
    count=st.integers(2, 400),
    fraction=st.floats(0.01, 0.99),
    blocks=st.integers(1, 12),
    seed=st.none() | st.integers(0, 5),
)
def test_parts_are_disjoint_complete_and_in_blocks(count: int, fraction: float, blocks: int, seed: int | None) -> None:
    amounts = None if seed is None else np.random.default_rng(seed).integers(0, 9, (count, 4))
    train, held = split_blocks(count, fraction, blocks, amounts=amounts)
    assert sorted([*train, *held]) == list(range(count))
    assert len(held) == min(max(round(count * fraction), 1), count - 1)
    assert _runs(held) <= blocks
    again = split_blocks(count, fraction, blocks, amounts=amounts)
    assert (again[0] == train).all() and (again[1] == held).all()


@given(count=st.integers(40, 400), gap=st.integers(1, 3))
def test_gap_keeps_neighbours_out_of_both(count: int, gap: int) -> None:
    train, held = split_blocks(count, 0.15, 3, gap=gap)
    assert np.abs(train[:, None] - held[None, :]).min() == gap + 1
    assert len(train) + len(held) >= count - 2 * 3 * gap


def test_blocks_are_spread_over_the_sequence() -> None:
    _, held = split_blocks(100, 0.2, 4)
    assert held.tolist() == [*range(10, 15), *range(35, 40), *range(60, 65), *range(85, 90)]


def test_rare_class_is_in_both_parts_where_it_can_be() -> None:
    amounts = np.zeros((200, 3))
    amounts[:, 0] = 1000
    amounts[5:9, 1] = 3  # beside where a block would lie
    amounts[[150, 196], 2] = 1
    assert amounts[split_blocks(200)[1]][:, 1].sum() == 0
    train, held = split_blocks(200, amounts=amounts)
    assert (amounts[held].sum(0) > 0).all() and (amounts[train].sum(0) > 0).all()


def test_bad_requests_are_refused() -> None:
    with pytest.raises(DataError, match="1 images"):
        split_blocks(1)
    with pytest.raises(DataError, match="fraction"):
        split_blocks(10, 1.0)
    with pytest.raises(DataError, match="gap of 50"):
        split_blocks(20, 0.2, 2, gap=50)
