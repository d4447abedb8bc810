"""The one search loop: ask, evaluate (as many at once as the executor has room for), tell.

What is guaranteed. Every candidate is recorded before and after its evaluation; after any kill, no recorded outcome is
lost, none is evaluated again, and a candidate that was under evaluation, or whose worker was lost, is evaluated once
more (lost again, it is recorded as failed). A strategy is told the recorded outcomes in the order in which they came.

What a seed decides. One at a time, with a deterministic evaluator and a limit on evaluations, everything: a search that
was killed and resumed visits the same candidates as one that was not. With several workers outcomes come in any order,
and strategies that learn from them then ask for other candidates. A deadline stops the search where the clock says,
which no seed decides.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from hwnas.errors import HwnasError, RunError
from hwnas.progress import Progress, Silent, Task
from hwnas.search.executor import Done, Executor, InProcess
from hwnas.search.problem import Problem
from hwnas.search.strategy import Evaluator, Outcome, Request, Strategy
from hwnas.search.study import Study, Trial
from hwnas.spaces.base import Decisions

FAILURES_IN_A_ROW = 20
"""So many failed candidates without one success say that the evaluator is broken, not the candidates."""
REPEATS_IN_A_ROW = 1000

Stopped = Literal["evaluations", "deadline", "exhausted"]


@dataclass(frozen=True)
class SearchResult:
    """The best feasible candidate, with its values, and every trial; ``stopped`` says what ended the search."""

    decisions: Decisions = field(hash=False)
    values: Mapping[str, float] = field(hash=False)
    evaluations: int
    trials: tuple[Trial, ...]
    stopped: Stopped


def search(
    problem: Problem,
    strategy: Strategy,
    evaluator: Evaluator | Executor,
    study: Study,
    *,
    evaluations: int | None = None,
    deadline_s: float | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> SearchResult:
    """Search until ``evaluations`` trials are in the study (those of earlier lives count) or ``deadline_s`` seconds
    have passed, whichever is first; a candidate that would likely end after the deadline is not begun.

    An evaluator serves one candidate at a time, in this process; an executor several at once.

    Raises RunError if no candidate could be evaluated.
    """
    if evaluations is None and deadline_s is None:
        raise HwnasError("a search needs an end", "give a number of evaluations or a time")
    if evaluations is not None and evaluations < 1:
        raise HwnasError(f"{evaluations} evaluations find nothing", "give at least 1")
    executor = evaluator if isinstance(evaluator, Executor) else InProcess(evaluator, clock)
    loop = _Loop(problem, strategy, executor, study, clock)
    shown = progress or Silent()
    total = float(evaluations if evaluations is not None else deadline_s or 0.0)
    start = clock()
    with shown.task("search", total) as task:
        stopped = loop.run(evaluations, None if deadline_s is None else start + deadline_s, task, start)
    return loop.result(stopped)


class _Loop:
    """The state of one running search. Nothing here takes longer as trials accumulate."""

    def __init__(
        self, problem: Problem, strategy: Strategy, executor: Executor, study: Study, clock: Callable[[], float]
    ) -> None:
        self.problem = problem
        self.strategy = strategy
        self.executor = executor
        self.study = study
        self.clock = clock
        self.trials: list[Trial] = study.finished
        self.known = {_place(trial.fingerprint, trial.request): trial for trial in self.trials}
        self.again: deque[Trial] = deque()
        self.running: dict[int, Trial] = {}
        self.echoes: dict[_Place, list[Request]] = {}
        self.repeats = 0
        self.best: Trial | None = None
        self.best_score: float | None = None
        self.failures = 0
        self.useless = 0
        self.recent_s: deque[float] = deque(maxlen=8)
        for trial in self.trials:
            self._weigh(trial)
        strategy.tell([trial.outcome for trial in self.trials if trial.outcome is not None])

    def run(self, evaluations: int | None, deadline: float | None, task: Task, start: float) -> Stopped:
        begun = len(self.trials)
        for orphan in self.study.orphans:
            self._cut_off(orphan, "its process was killed twice")
        while True:
            ended = self._end(evaluations, deadline)
            while ended is None and len(self.running) < self.executor.slots and self._begin():
                ended = self._end(evaluations, deadline)
            elapsed = self.clock() - start
            done = float(len(self.trials)) if evaluations is not None else elapsed
            task.update(done, self._note(elapsed, len(self.trials) - begun))
            if not self.running:
                return ended or "exhausted"
            for each in self.executor.completed():
                self._take(each)

    def _end(self, evaluations: int | None, deadline: float | None) -> Stopped | None:
        """Why nothing more is to be begun."""
        if evaluations is not None and len(self.trials) + len(self.running) >= evaluations:
            return "evaluations"
        if deadline is not None and self.clock() + max(self.recent_s, default=0.0) > deadline:
            return "deadline"
        return None

    def result(self, stopped: Stopped) -> SearchResult:
        if self.best is None or self.best.outcome is None:
            notes = [trial.outcome.note for trial in self.trials if trial.outcome is not None]
            last = f"; the last: {notes[-1]}" if notes else ""
            raise RunError(
                f"no candidate could be evaluated: {len(self.trials)} were tried{last}",
                "give the search more time, or look at the notes of its trials",
            )
        outcome = self.best.outcome
        return SearchResult(outcome.request.decisions, outcome.values, len(self.trials), tuple(self.trials), stopped)

    def _begin(self) -> bool:
        """Begin an evaluation: of what was cut off first, then of what the strategy asks for. False: nothing to do now.

        A candidate that is on record, or under evaluation, is answered from there.
        """
        if self.again:
            self._submit(self.study.retry(self.again.popleft()))
            return True
        while self.repeats <= REPEATS_IN_A_ROW and (requests := self.strategy.ask(1)):
            request = requests[0]
            fingerprint = self.problem.key(request.decisions)
            place = _place(fingerprint, request)
            known = self.known.get(place)
            if known is None:
                self._submit(self.study.begin(request, fingerprint, self.problem.price(request.decisions)))
                return True
            self.repeats += 1
            if known.outcome is None:
                self.echoes.setdefault(place, []).append(request)
            else:
                self.strategy.tell([replace(known.outcome, request=request)])
        return False

    def _submit(self, trial: Trial) -> None:
        self.known[_place(trial.fingerprint, trial.request)] = trial
        self.running[trial.storage_id] = trial
        self.executor.submit(trial)

    def _cut_off(self, trial: Trial, note: str) -> None:
        """An evaluation without an outcome is begun once more; a candidate that is cut off twice has failed."""
        if trial.attempts < 2:
            self.again.append(trial)
        else:
            self._close(self.study.finish(trial, Outcome(trial.request, status="failed", note=note), 0.0))

    def _take(self, done: Done) -> None:
        """Record what came of an evaluation that was running."""
        trial = self.running.pop(done.trial.storage_id)
        if done.outcome is None:
            self._cut_off(trial, f"its worker was lost twice; the last time: {done.lost}")
            return
        outcome = replace(done.outcome, request=trial.request, values={**trial.costs, **done.outcome.values})
        outcome = self.problem.objective.judge(outcome)
        self._close(self.study.finish(trial, outcome, done.duration_s))

    def _close(self, trial: Trial) -> None:
        assert trial.outcome is not None
        place = _place(trial.fingerprint, trial.request)
        self.trials.append(trial)
        self.known[place] = trial
        self.repeats = 0
        self._weigh(trial)
        asked = [trial.request, *self.echoes.pop(place, [])]
        self.strategy.tell([replace(trial.outcome, request=request) for request in asked])
        if self.failures >= FAILURES_IN_A_ROW and self.best is None:
            raise RunError(
                f"the first {self.failures} candidates all failed; the last: {trial.outcome.note}",
                "this is the evaluator's fault rather than theirs: mend it and search in another run directory",
            )

    def _weigh(self, trial: Trial) -> None:
        """Keep the best; at equal score the earlier stays, so that a resumed search has the same winner."""
        assert trial.outcome is not None
        self.recent_s.append(trial.duration_s)
        self.failures = self.failures + 1 if trial.outcome.status == "failed" else 0
        self.useless += trial.outcome.status != "ok"
        score = self.problem.objective.score(trial.outcome)
        if score is not None and (self.best_score is None or score > self.best_score):
            self.best, self.best_score = trial, score

    def _note(self, elapsed_s: float, new: int) -> str:
        parts = []
        if self.best is not None and self.best.outcome is not None:
            values = self.best.outcome.values
            parts.append("best " + ", ".join(f"{name} {values[name]:.4g}" for name in self._shown()))
        if new and elapsed_s > 0:
            parts.append(f"{60 * new / elapsed_s:.0f} a minute")
        if self.useless:
            parts.append(f"{self.useless} of {len(self.trials)} failed or over a limit")
        return ", ".join(parts)

    def _shown(self) -> tuple[str, ...]:
        return (self.problem.objective.metric, *self.problem.objective.limits)


_Place: TypeAlias = tuple[str, float, str | None]


def _place(fingerprint: str, request: Request) -> _Place:
    """What makes an evaluation the same evaluation."""
    return fingerprint, request.fidelity, request.continue_from
