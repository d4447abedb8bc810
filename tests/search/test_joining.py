"""Taking part in a search that another process leads."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_space import toy_problem

from hwnas.search.joining import LOOK_EVERY_S, WhileLed, wait_for_neighbours
from hwnas.search.members import Member
from hwnas.search.random_search import RandomSearch
from hwnas.search.reading import read_study
from hwnas.search.study import Study, open_study


class Led:
    """Stands for a study: led until it is told otherwise, and counts how often it is asked."""

    is_led_now, looks, left = True, 0, 0

    @property
    def is_led(self) -> bool:
        self.looks += 1
        return self.is_led_now

    def neighbours(self) -> list[int]:
        self.left -= 1
        return [1] * max(0, self.left)


def test_asks_as_long_as_the_search_is_led_and_looks_now_and_then() -> None:
    study, now = Led(), [0.0]
    strategy = WhileLed(RandomSearch(toy_problem(), seed=0), study, clock=lambda: now[0])  # type: ignore[arg-type]
    assert len(strategy.ask(1)) == len(strategy.ask(2)) - 1 == 1
    assert study.looks == 1
    study.is_led_now = False
    assert strategy.ask(1)
    now[0] += LOOK_EVERY_S
    assert strategy.ask(1) == [] == strategy.ask(1)
    assert study.looks == 2


def test_waits_for_what_neighbours_evaluate_and_not_for_ever() -> None:
    study, slept = Led(), []
    study.left = 4
    assert wait_for_neighbours(study, sleep=slept.append)  # type: ignore[arg-type]
    assert len(slept) == 3
    study.left = 1_000_000
    assert not wait_for_neighbours(study, most_s=2.0, sleep=slept.append)  # type: ignore[arg-type]


def test_study_tells_workers_what_they_need(tmp_path: Path) -> None:
    study = open_study(tmp_path / "study.journal", toy_problem(), identity={}, seed=0)
    assert read_study(tmp_path / "study.journal").work is None
    study.offer({"files": {"supernet.safetensors": "0" * 64}, "seconds": 3.5})
    study.offer({"files": {"supernet.safetensors": "1" * 64}, "seconds": 2.5})
    assert read_study(tmp_path / "study.journal").work == {
        "files": {"supernet.safetensors": "1" * 64},
        "seconds": 2.5,
    }


def test_only_what_others_on_this_machine_evaluate_is_a_neighbour_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = toy_problem()
    first = open_study(tmp_path / "study.journal", problem, identity={}, seed=0)
    (request,) = RandomSearch(problem, seed=0).ask(1)
    trial = first.begin(request, problem.key(request.decisions), {})
    assert trial is not None
    monkeypatch.setattr(Member, "alive", lambda self: not self.left)  # one process stands for two
    second = open_study(tmp_path / "study.journal", problem, identity={}, seed=0, join=True)
    assert second.is_led
    assert [each.number for each in second.neighbours()] == [trial.number]
    elsewhere = [_elsewhere(member) for member in second._members()]
    with monkeypatch.context() as patch:
        patch.setattr(Study, "_members", lambda self: elsewhere)
        assert second.neighbours() == []
    first.close()
    assert not second.is_led
    assert second.neighbours() == []


def _elsewhere(member: Member) -> Member:
    return Member.from_dict({**member.to_dict(), "machine": "another"})
