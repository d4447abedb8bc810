"""Where a search with 64 to 1,024 workers is held up first: simulated workers, a real study in real storages.

    python benchmarks/simulate_workers.py --run runs/s --storage journal --storage sqlite --postgres URL

The workers and Ray are simulated: an evaluation takes as long as one that was recorded (``--run``; without one, the
quantiles of 136 slices at 180x240 on one core are drawn from), and hands its outcome over at once. Everything that the
searching process does for it is done in earnest, one outcome after the other, and timed: reading what is new, asking
the strategy, pricing, recording the trial before and the outcome after. The simulated clock adds both up: an outcome
that arrives while the process is busy waits, and so does its worker.

Printed for each storage and number of workers: how busy the workers and the searching process are, how long a worker
waits for its next candidate, and what the process's time for a candidate goes into; and, from that, at how many workers
the process is the bottleneck, and which part of it. A last line is of processes that share only the storage
(``--join``, ``hwnas worker``): each reads what all others record, so what is read bounds their number.

``--clock cpu`` counts the process's CPU time instead, for machines with other work; waiting for a disk or a database
server is not in it. With ``--results FILE`` what is done is kept, and not done again.
"""

from __future__ import annotations

import argparse
import heapq
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
from tabulated import Lines

from hwnas.search.evolution import Evolution
from hwnas.search.executor import Done
from hwnas.search.objective import Objective
from hwnas.search.problem import Problem
from hwnas.search.reading import read_study
from hwnas.search.run import search
from hwnas.search.strategy import FOREIGN, Outcome, Request
from hwnas.search.study import Study, open_study
from hwnas.search.trial import Trial
from hwnas.spaces.base import SPACES

QUANTILES_S = (0.146, 0.214, 0.247, 0.283, 0.336, 0.402, 0.796)
"""0, 10, 25, 50, 75, 90 and 100% of the recorded durations of one search's slices."""
LEVELS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
OTHERS = 200
"""Candidates of another process that a joined one reads, to see what one of them costs it."""

T = TypeVar("T")
Clock = Callable[[], float]


@dataclass
class Meter:
    """Real seconds of the searching process, by what they went into."""

    clock: Clock
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def timed(self, name: str, work: Callable[..., T]) -> Callable[..., T]:
        """``work``, with its time added to ``name``'s; what is nested counts once, inside."""

        def measured(*arguments: Any, **options: Any) -> T:
            before, start = sum(self.seconds.values()), self.clock()
            try:
                return work(*arguments, **options)
            finally:
                within = sum(self.seconds.values()) - before
                self.seconds[name] += self.clock() - start - within

        return measured


class Simulation:
    """An executor whose workers take recorded durations on a simulated clock that the real work here moves on, too."""

    def __init__(self, workers: int, durations: np.ndarray, rng: np.random.Generator, clock: Clock) -> None:
        self.slots = workers
        self._durations, self._rng, self._clock = durations, rng, clock
        self._running: list[tuple[float, int, Trial, float]] = []
        self._free_since: list[float] = [0.0] * workers
        self._resumed_at = self._clock()
        self.now_s = self.busy_s = self.worked_s = self.waited_s = 0.0
        self.handed_over = 0

    def submit(self, trial: Trial) -> None:
        self._advance()
        self.waited_s += self.now_s - self._free_since.pop(0)
        duration_s = float(self._rng.choice(self._durations))
        heapq.heappush(self._running, (self.now_s + duration_s, trial.number, trial, duration_s))
        self._resumed_at = self._clock()

    def completed(self) -> list[Done]:
        """The next outcome that there is, or that there will be first: the clock is moved on to it."""
        self._advance()
        ended_at, _, trial, duration_s = heapq.heappop(self._running)
        self.now_s = max(self.now_s, ended_at)
        self._free_since.append(ended_at)
        self.worked_s += duration_s
        self.handed_over += 1
        outcome = Outcome(trial.request, {"miou": float(self._rng.random())})
        self._resumed_at = self._clock()
        return [Done(trial, outcome, duration_s)]

    def _advance(self) -> None:
        """The searching process has been at work since it was last here."""
        busy_s = self._clock() - self._resumed_at
        self.busy_s += busy_s
        self.now_s += busy_s


@dataclass(frozen=True)
class Measured:
    """What one simulation found. ``parts_s`` are seconds of the searching process for one candidate."""

    storage: str
    workers: int
    workers_busy: float
    process_busy: float
    wait_s: float
    parts_s: dict[str, float]
    duration_s: float

    @property
    def service_s(self) -> float:
        return sum(self.parts_s.values())

    @property
    def most_workers(self) -> float:
        """How many workers keep the searching process busy all the time."""
        return 1 + self.duration_s / self.service_s

    def line(self) -> str:
        parts = ", ".join(
            f"{name} {1e3 * s:.1f}" for name, s in sorted(self.parts_s.items(), key=lambda each: -each[1])
        )
        busy = f"{self.workers:5} workers: {self.workers_busy:4.0%} busy, the search {self.process_busy:4.0%}"
        return (
            f"{self.storage:10} {busy}; a worker waits {self.wait_s:.3g} s; "
            f"{1e3 * self.service_s:.1f} ms a candidate ({parts})"
        )


class Timed:
    """A strategy whose asking and telling is timed."""

    def __init__(self, inner: Evolution, meter: Meter) -> None:
        self.ask: Callable[[int], list[Request]] = meter.timed("ask", inner.ask)
        self.tell: Callable[[Iterable[Outcome]], None] = meter.timed("tell", inner.tell)
        self.state, self.restore = inner.state, inner.restore


def simulate(
    storage: str, where: Path | str, workers: int, rounds: int, durations: np.ndarray, clock: Clock
) -> Measured:
    """A search of ``rounds`` candidates a worker."""
    meter = Meter(clock)
    problem, study = opened(where)
    for part, name in (("refresh", "read"), ("begin", "record the trial"), ("finish", "record the outcome")):
        setattr(study, part, meter.timed(name, getattr(study, part)))
    simulation = Simulation(workers, durations, np.random.default_rng(0), clock)
    strategy = Timed(Evolution(problem, seed=0), meter)
    with ExitStack() as stack:
        stack.callback(Study.close, study)
        search(problem, strategy, simulation, study, evaluations=rounds * workers)
    count = simulation.handed_over
    parts_s = {name: seconds / count for name, seconds in meter.seconds.items()}
    parts_s["the rest"] = max(0.0, simulation.busy_s / count - sum(parts_s.values()))
    available_s = workers * simulation.now_s
    return Measured(
        storage,
        workers,
        simulation.worked_s / available_s,
        simulation.busy_s / simulation.now_s,
        simulation.waited_s / count,
        parts_s,
        float(durations.mean()),
    )


def hearing_s(where: Path | str, clock: Clock) -> float:
    """Seconds for which a joined process is busy with each candidate that another evaluates."""
    name = uuid4().hex
    problem, leading = opened(where, name)
    _, joined = opened(where, name, join=True)
    asking, hearing = Evolution(problem, seed=0), Evolution(problem, seed=1)
    spent_s = 0.0
    for number in range(OTHERS):
        (request,) = asking.ask(1)
        trial = leading.begin(request, problem.key(request.decisions), {})
        assert trial is not None
        outcome = Outcome(request, {"miou": number / OTHERS})
        leading.finish(trial, outcome, 1.0)
        asking.tell([outcome])
        start = clock()
        hearing.tell([replace(each.outcome, request=replace(each.request, id=FOREIGN)) for each in joined.refresh()])
        spent_s += clock() - start
    joined.close()
    leading.close()
    return spent_s / OTHERS


def opened(where: Path | str, name: str | None = None, *, join: bool = False) -> tuple[Problem, Study]:
    """A study of the space ``realtime``, a new one if it has no name."""
    problem = Problem(SPACES.get("realtime"), Objective("miou"))
    return problem, open_study(where, problem, identity={}, seed=0, name=name or uuid4().hex, join=join)


def recorded(run: Path | None, slower: float) -> np.ndarray:
    """Durations of evaluations, in seconds."""
    if run is None:
        return slower * np.interp(np.linspace(0, 1, 501), LEVELS, QUANTILES_S)
    journal = run / "study.journal" if run.is_dir() else run
    found = [trial.outcome["duration_s"] for trial in read_study(journal).trials if trial.outcome]
    return slower * np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run, or its journal, whose recorded durations are taken")
    parser.add_argument(
        "--slower", type=float, default=1.0, help="multiply the durations: 1000 makes trainings of slices"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--rounds", type=int, default=3, help="candidates a worker")
    parser.add_argument("--storage", action="append", choices=("journal", "sqlite"), help="both, if none is said")
    parser.add_argument("--postgres", metavar="URL", help="postgresql://USER:PASSWORD@HOST/DATABASE, an empty one")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--results", type=Path, help="keep what is done in this file, and do not do it again")
    given = parser.parse_args()
    durations, clock = recorded(given.run, given.slower), CLOCKS[given.clock]
    print(f"an evaluation takes {durations.mean():.3g} s ({durations.min():.3g} to {durations.max():.3g})")
    with tempfile.TemporaryDirectory() as folder:
        places: dict[str, Path | str] = {
            "journal": Path(folder) / "study.journal",
            "sqlite": f"sqlite:///{folder}/study.db",
        }
        places = {name: places[name] for name in given.storage or places}
        if given.postgres:
            places["postgresql"] = given.postgres
        done = Lines(given.results or Path(folder) / "results.jsonl")
        settings = [given.clock, given.rounds, str(given.run), given.slower]

        def once(what: str, workers: int, work: Callable[[], Measured | float]) -> Any:
            key = json.dumps([what, workers, *settings])
            if key not in done.rows:
                value = work()
                done.add(key, value=asdict(value) if isinstance(value, Measured) else value)
            return done.rows[key]["value"]

        for storage, where in places.items():
            found = []
            for workers in given.workers:
                work = partial(simulate, storage, where, workers, given.rounds, durations, clock)
                found.append(Measured(**once(storage, workers, work)))
                print(found[-1].line(), flush=True)
            print(_verdict(storage, found))
            heard_s = once(f"{storage}, joined", 2, partial(hearing_s, where, clock))
            print(
                f"{storage}: a process that shares only the storage is busy for {1e3 * heard_s:.2g} ms with each "
                f"candidate of another, so about {durations.mean() / heard_s:.0f} of them would do nothing else"
            )


def _verdict(storage: str, found: list[Measured]) -> str:
    last = found[-1]
    part, seconds = max(last.parts_s.items(), key=lambda each: each[1])
    return (
        f"{storage}: the searching process is the first bottleneck, from about {last.most_workers:.0f} workers on with "
        f"evaluations of {last.duration_s:.3g} s; most of its time for a candidate, {seconds / last.service_s:.0%}, "
        f"goes into: {part}. N workers are kept busy by evaluations of N x {1e3 * last.service_s:.1f} ms or more."
    )


if __name__ == "__main__":
    main()
