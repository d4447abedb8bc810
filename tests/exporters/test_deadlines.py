"""The deadline run on a clock that is told what time it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.exporters.deadlines import DeadlineRun, frames_in, run_at_fps


class Clock:
    """Time passes only when somebody sleeps or works."""

    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def simulate(work_ms: list[float], fps: float, seconds: float, queue: int = 2) -> tuple[DeadlineRun, list[int]]:
    clock, done = Clock(), []

    def work(frame: int) -> None:
        done.append(frame)
        clock.sleep(work_ms[(len(done) - 1) % len(work_ms)] / 1e3)

    return run_at_fps(work, fps, seconds, queue=queue, clock=clock, sleep=clock.sleep), done


def test_half_the_period_meets_every_deadline() -> None:
    run, done = simulate([20.0], fps=25.0, seconds=4.0)
    assert done == list(range(100))
    assert (run.frames, run.dropped, run.late, run.missed_share) == (100, 0, 0, 0.0)
    assert run.fps == pytest.approx(25.0, rel=0.01)
    assert run.p50_ms == pytest.approx(20.0) and run.worst_ms == pytest.approx(20.0)
    assert run.longest_gap_ms == pytest.approx(40.0) and run.jitter_ms == pytest.approx(0.0, abs=1e-6)
    assert run.queue_most == 0


def test_twice_the_period_shows_the_true_rate() -> None:
    run, _ = simulate([80.0], fps=25.0, seconds=20.0)
    assert run.fps == pytest.approx(12.5, rel=0.03)
    assert run.missed_share > 0.95 and run.dropped == pytest.approx(250, abs=5)
    assert run.queue_most == 2
    assert run.worst_ms <= 3 * 80.0 + 40.0 + 1e-6  # no frame waits behind more than the queue, the last ones neither


def test_one_hiccup_is_a_gap_and_is_made_up_for() -> None:
    run, done = simulate([10.0] * 10 + [90.0] + [10.0] * 89, fps=25.0, seconds=4.0)
    assert done == list(range(100)) and run.dropped == 0
    assert run.late == 2  # the slow one, and the one that waited 50 ms behind it; the next waited 20 ms only
    assert run.longest_gap_ms == pytest.approx(120.0)
    assert run.queue_most == 1


@given(
    st.lists(st.floats(1.0, 300.0), min_size=1, max_size=20),
    st.floats(5.0, 100.0),
    st.integers(1, 5),
)
def test_every_frame_is_dropped_or_answered_once_in_order(work_ms: list[float], fps: float, queue: int) -> None:
    run, done = simulate(work_ms, fps, 3.0, queue)
    assert done == sorted(set(done))
    assert run.dropped + len(done) == run.frames == max(1, round(fps * 3.0))
    assert run.queue_most <= queue and 0 <= run.late <= len(done)
    assert run.p50_ms >= min(work_ms) - 1e-6 and run.worst_ms >= run.p99_ms >= run.p50_ms


def test_rates_that_are_none() -> None:
    for fps, seconds in ((0.0, 1.0), (30.0, 0.0), (float("inf"), 1.0)):
        with pytest.raises(ValueError, match="positive"):
            run_at_fps(lambda frame: None, fps, seconds)


def test_a_frame_arrives_at_any_rate() -> None:
    assert (frames_in(30, 20), frames_in(0.02, 20)) == (600, 1)
