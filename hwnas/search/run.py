"""The one search loop: ask, evaluate (as many at once as the executor has room for), tell.

What is guaranteed. Every candidate is recorded before and after its evaluation; after any kill, no recorded outcome is
lost, none is evaluated again, and a candidate that was under evaluation, or whose worker was lost, is evaluated once
more (lost again, it is recorded as failed). A strategy is told the recorded outcomes in the order in which they came.
Several processes may search on one study, each with a loop and a strategy of its own: no candidate is evaluated by two
of them, each strategy is told of all outcomes, and what a killed one had under evaluation is taken over by another.

What a seed decides. One at a time, with a deterministic evaluator and a limit on evaluations, everything: a search that
was killed and resumed visits the same candidates as one that was not. With several workers outcomes come in any order,
and strategies that learn from them then ask for other candidates. A deadline stops the search where the clock says,
which no seed decides.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from hwnas.errors import HwnasError, RunError
from hwnas.progress import Progress, Silent, Task
from hwnas.search.executor import Done, Executor, InProcess
from hwnas.search.problem import Problem
from hwnas.search.strategy import FOREIGN, Evaluator, Outcome, Request, Strategy
from hwnas.search.study import Study
from hwnas.search.trial import Place, Trial, place_of
from hwnas.spaces.base import Decisions

FAILURES_IN_A_ROW = 20
"""So many failed candidates without one success say that the evaluator is broken, not the candidates."""
REPEATS_IN_A_ROW = 1000
ORPHANS_EVERY_S = 5.0
"""So often it is looked whether another process has died, whose candidates are then taken over."""
SHORTEST_NAP_S, LONGEST_NAP_S = 0.02, 1.0
"""How long is slept while only other processes evaluate."""

Stopped = Literal["evaluations", "deadline", "exhausted"]


@dataclass(frozen=True)
class SearchResult:
    """The best feasible candidate, with its values, and every trial; ``stopped`` says what ended the search."""

    decisions: Decisions = field(hash=False)
    values: Mapping[str, float] = field(hash=False)
    evaluations: int
    trials: tuple[Trial, ...]
    stopped: Stopped
    member: int = 0
    """What this process is known by in ``Trial.member``."""


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
    """Search until ``evaluations`` trials are in the study (those of earlier lives and of other processes count) or
    ``deadline_s`` seconds have passed, whichever is first; a candidate that would likely end after it is not begun.

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
    total = total if math.isfinite(total) else 0.0  # nobody knows how long it will be
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
        self.trials: list[Trial] = []
        self.again: deque[Trial] = deque()
        self.running: dict[int, Trial] = {}
        self.echoes: dict[Place, list[Request]] = {}
        self.heard: set[int] = set()
        """Trials whose outcome the strategy was told."""
        self.repeats = 0
        self.best: Trial | None = None
        self.best_standing: tuple[float, float] | None = None
        self.failures = 0
        self.statuses: Counter[str] = Counter()
        self.recent_s: deque[float] = deque(maxlen=8)
        self.look_for_orphans_at = 0.0
        self.nap_s = SHORTEST_NAP_S
        history = study.finished
        for trial in history:
            self._weigh(trial)
        strategy.tell([self._outcome_for_strategy(trial) for trial in history])

    def run(self, evaluations: int | None, deadline: float | None, task: Task, start: float) -> Stopped:
        begun = len(self.trials)
        while True:
            self._hear()
            ended = self._end(evaluations, deadline)
            while ended is None and len(self.running) < self.executor.slots and self._begin(evaluations):
                ended = self._end(evaluations, deadline)
            elapsed = self.clock() - start
            done = float(len(self.trials)) if evaluations is not None else elapsed
            task.update(done, self._note(elapsed, len(self.trials) - begun))
            if self.running:
                for each in self.executor.completed():
                    self._take(each)
            elif self._hear():
                continue
            elif ended != "deadline" and self.study.running and len(self.trials) < (evaluations or math.inf):
                self._wait_for_others()
            else:
                return ended or "exhausted"

    def _end(self, evaluations: int | None, deadline: float | None) -> Stopped | None:
        """Why nothing more is to be begun."""
        if evaluations is not None and len(self.trials) + len(self.running) >= evaluations:
            return "evaluations"
        if deadline is not None and self.clock() + max(self.recent_s, default=0.0) > deadline:
            return "deadline"
        return None

    def _hear(self) -> bool:
        """Take in what other processes did meanwhile, outcomes and what the dead ones have left; whether it was any."""
        known = len(self.trials) + len(self.again)
        for trial in self.study.refresh():
            self._learn(trial)
        if time.monotonic() >= self.look_for_orphans_at:
            self.look_for_orphans_at = time.monotonic() + ORPHANS_EVERY_S
            waiting = {trial.number for trial in self.again}
            for orphan in self.study.orphans:
                if orphan.number not in waiting:
                    self._cut_off(orphan, "its process was killed twice")
        return len(self.trials) + len(self.again) > known

    def _wait_for_others(self) -> None:
        """Nothing is left to do here but others are at work."""
        time.sleep(self.nap_s)
        self.nap_s = SHORTEST_NAP_S if self._hear() else min(2 * self.nap_s, LONGEST_NAP_S)

    def result(self, stopped: Stopped) -> SearchResult:
        if self.best is None or self.best.outcome is None:
            notes = [trial.outcome.note for trial in self.trials if trial.outcome is not None]
            last = f"; the last: {notes[-1]}" if notes else ""
            if self.statuses["infeasible"]:
                raise RunError(
                    f"none of {len(self.trials)} candidates is within the limits{last}",
                    "loosen the limit that the notes of its trials name, or give the search more time",
                )
            raise RunError(
                f"no candidate could be evaluated: {len(self.trials)} were tried{last}",
                "give the search more time, or look at the notes of its trials",
            )
        outcome = self.best.outcome
        trials, member = tuple(self.trials), self.study.member
        return SearchResult(outcome.request.decisions, outcome.values, len(trials), trials, stopped, member)

    def _begin(self, most: int | None) -> bool:
        """Begin an evaluation: of what was cut off first, then of what the strategy asks for. False: nothing to do now.

        A candidate that is on record, or under evaluation here or elsewhere, is answered from there.
        """
        while self.again:
            claimed = self.study.retry(self.again.popleft())
            if claimed is not None:
                self._submit(claimed)
                return True
        while self.repeats <= REPEATS_IN_A_ROW and (requests := self.strategy.ask(1)):
            request = requests[0]
            fingerprint = self.problem.key(request.decisions)
            known = self.study.known(place_of(fingerprint, request))
            if known is None:
                trial = self.study.begin(request, fingerprint, self.problem.price(request.decisions), most=most)
                if trial is None:  # others have begun the last ones meanwhile; nobody will evaluate this one
                    return False
                if self.study.is_mine(trial):
                    self._submit(trial)
                    return True
                known = trial
            self.repeats += 1
            if known.outcome is None or known.number not in self.heard:
                self.echoes.setdefault(known.place, []).append(request)
            else:
                self.strategy.tell([replace(known.outcome, request=request)])
        return False

    def _submit(self, trial: Trial) -> None:
        self.running[trial.storage_id] = trial
        self.executor.submit(trial)

    def _cut_off(self, trial: Trial, note: str) -> None:
        """An evaluation without an outcome is begun once more; a candidate that is cut off twice has failed."""
        if trial.attempts < 2:
            self.again.append(trial)
        else:
            self._learn(self.study.finish(trial, Outcome(trial.request, status="failed", note=note), 0.0))

    def _take(self, done: Done) -> None:
        """Record what came of an evaluation that was running."""
        trial = self.running.pop(done.trial.storage_id)
        if done.outcome is None:
            self._cut_off(trial, f"its worker was lost twice; the last time: {done.lost}")
            return
        outcome = replace(done.outcome, request=trial.request, values={**trial.costs, **done.outcome.values})
        outcome = self.problem.objective.judge(outcome)
        self._learn(self.study.finish(trial, outcome, done.duration_s))

    def _learn(self, trial: Trial) -> None:
        """Take in a trial that has got its outcome, here or elsewhere."""
        self.repeats = 0
        self._weigh(trial)
        told = self._outcome_for_strategy(trial)
        # Once: strategies count what they are told. Whoever has asked for it knows it by that request.
        own = [replace(told, request=request) for request in self.echoes.pop(trial.place, [])]
        self.strategy.tell(own or [told])
        if self.failures >= FAILURES_IN_A_ROW and self.best is None:
            raise RunError(
                f"the first {self.failures} candidates all failed; the last: {told.note}",
                "this is the evaluator's fault rather than theirs: mend it and search in another run directory",
            )

    def _outcome_for_strategy(self, trial: Trial) -> Outcome:
        """The ids of requests are a strategy's own; those of another process's are not for it to count."""
        assert trial.outcome is not None
        if trial.stream == self.study.stream:
            return trial.outcome
        return replace(trial.outcome, request=replace(trial.request, id=FOREIGN))

    def _weigh(self, trial: Trial) -> None:
        """Keep the best of the highest fidelity: scores of others do not compare. At equal score the earlier stays, so
        that a resumed search has the same winner."""
        assert trial.outcome is not None
        self.trials.append(trial)
        self.heard.add(trial.number)
        self.recent_s.append(trial.duration_s)
        self.failures = self.failures + 1 if trial.outcome.status == "failed" else 0
        self.statuses[trial.outcome.status] += 1
        score = self.problem.objective.score(trial.outcome)
        if score is None:
            return
        standing = (trial.request.fidelity, score)
        if self.best_standing is None or standing > self.best_standing:
            self.best, self.best_standing = trial, standing

    def _note(self, elapsed_s: float, new: int) -> str:
        parts = []
        if self.best is not None and self.best.outcome is not None:
            values = self.best.outcome.values
            parts.append("best " + ", ".join(f"{name} {values[name]:.4g}" for name in self._shown()))
        if new and elapsed_s > 0:
            parts.append(f"{60 * new / elapsed_s:.0f} a minute")
        for status in ("infeasible", "failed"):
            if self.statuses[status]:
                parts.append(f"{self.statuses[status] / len(self.trials):.0%} {status}")
        return ", ".join(parts)

    def _shown(self) -> tuple[str, ...]:
        return (self.problem.objective.metric, *self.problem.objective.limits)
