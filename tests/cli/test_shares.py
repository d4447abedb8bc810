"""The minutes of a deployment are divided whole, and profiling keeps to the quarter that is promised."""

from __future__ import annotations

import pytest

from hwnas.cli.shares import FINISH, FINISH_S, divide, profile_seconds


@pytest.mark.parametrize("total_s", [60.0, 240.0, 1200.0, 7200.0])
def test_stages_use_what_is_left_but_for_the_finish(total_s: float) -> None:
    left_s = total_s - profile_seconds(total_s)
    shares = divide(left_s, total_s)
    used = shares.supernet + shares.search + shares.finals + shares.train
    assert used == pytest.approx(max(left_s - max(FINISH_S, FINISH * total_s), 3.0))
    assert profile_seconds(total_s) <= total_s / 4


def test_nothing_left_still_gives_every_stage_a_moment() -> None:
    shares = divide(-100.0, 60.0)
    assert min(shares.supernet, shares.search, shares.finals, shares.train) > 0.1
