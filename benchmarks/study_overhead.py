"""What a trial costs beside its evaluation: the study and the strategy, at 1,000 and at 20,000 trials of 40 choices.

    python benchmarks/study_overhead.py --trials 1000 20000 --strategies random,evolution --optuna

searches a made-up space of 40 choices with an evaluator that takes no time, on a journal in a scratch directory, and
prints for each strategy the milliseconds a trial at each size: over the last 200 trials before it, as process CPU time
(little changed by what else the machine does) and as wall time (which has the disk in it). Then the seconds that
reopening the study takes. The trials before are made up, in the form that a search leaves. ``--optuna`` adds Optuna's
own way, ``study.ask`` + ``suggest`` + ``tell`` of its samplers on the same journal storage, at the first size.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.search.make import make_strategy
from hwnas.search.objective import Budget, Objective
from hwnas.search.problem import Problem
from hwnas.search.run import search
from hwnas.search.strategy import Outcome, Request
from hwnas.search.study import open_study
from hwnas.shapes import Value
from hwnas.spaces.base import Candidate, Choice, Decisions
from hwnas.spaces.decisions import random_decisions

CHOICES, OPTIONS, LAST = 40, 4, 200
MOST_MS, MOST_REOPEN_S = 5.0, 40.0


class FortyChoices:
    """A chain of 40 nodes, each one of four ops."""

    name = "forty-choices"
    choices = tuple(
        Choice(f"node{i}", ("conv_3x3", "sep_conv_3x3", "conv_1x1", "skip_connect")[:OPTIONS]) for i in range(CHOICES)
    )

    def decode(self, decisions: Decisions) -> Candidate:
        names = ["x", *(f"node{i}" for i in range(CHOICES))]
        nodes = [Node(names[i + 1], str(decisions[names[i + 1]]), (names[i],)) for i in range(CHOICES)]
        return Candidate(Genotype(self.name, self.name, {"cell": Cell.of(["x"], nodes, names[-1])}))

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        return random_decisions(self, rng)


def latency_ms(decisions: Decisions) -> float:
    return sum(0.1 if value == "skip_connect" else 0.3 for value in decisions.values())


def problem() -> Problem:
    def price(decisions: Decisions) -> Mapping[str, float]:
        return {"latency_ms": latency_ms(decisions), "macs": 1e9, "params": 1e6}

    return Problem(FortyChoices(), Objective.under(Budget(11.0)), price)


class Instant:
    """Scores by a sum; notes when each evaluation began, in CPU and wall time."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, float]] = []

    def evaluate(self, request: Request) -> Outcome:
        self.marks.append((time.process_time(), time.perf_counter()))
        score = np.mean([value == "conv_3x3" for value in request.decisions.values()])
        return Outcome(request, {"miou": float(score)})


def searched(folder: Path, strategy: str, evaluations: int) -> tuple[float, float, Instant]:
    """(CPU s, wall s) of opening the study and telling the strategy, and the evaluator, after ``evaluations``."""
    start = time.process_time(), time.perf_counter()
    task, evaluator = problem(), Instant()
    study = open_study(folder / "study.journal", task, identity={}, seed=0)
    chosen = make_strategy(strategy, task, seed=0)
    search(task, chosen, evaluator, study, evaluations=evaluations)
    study.close()
    first = evaluator.marks[0] if evaluator.marks else (time.process_time(), time.perf_counter())
    return first[0] - start[0], first[1] - start[1], evaluator


def fill(folder: Path, size: int) -> None:
    """A study of ``size`` random trials: 20 are searched, the others written after the pattern of the last."""
    searched(folder, "random", 20)
    path, task, rng = folder / "study.journal", problem(), np.random.default_rng(1)
    create, outcome, state = (json.loads(line) for line in path.read_text().splitlines()[-4:-1])
    assert (create["op_code"], outcome["op_code"], state["op_code"]) == (4, 8, 6)
    with path.open("a") as stream:
        for number in range(20, size):
            decisions = task.space.sample(rng)
            attrs = create["user_attrs"]
            attrs["request"] = {**attrs["request"], "decisions": decisions, "id": number}
            attrs["fingerprint"] = task.key(decisions)
            options = task.space.choices[0].options
            create["params"] = {name: options.index(value) for name, value in decisions.items()}
            outcome["user_attr"]["outcome"]["told"] = number
            outcome["trial_id"] = state["trial_id"] = number
            for record in (create, outcome, state):
                stream.write(json.dumps(record, separators=(",", ":")) + "\n")


def per_trial(evaluator: Instant) -> tuple[float, float]:
    """Milliseconds between the last evaluations, (CPU, wall)."""
    marks = evaluator.marks[-LAST - 1 :]
    cpu, wall = ((marks[-1][i] - marks[0][i]) / (len(marks) - 1) * 1e3 for i in (0, 1))
    return cpu, wall


def ours(scratch: Path, strategies: Sequence[str], sizes: Sequence[int]) -> bool:
    reached = True
    filled = scratch / "filled"
    for size in sizes:
        shutil.rmtree(filled, ignore_errors=True)
        fill(filled, size - LAST - 1)
        for strategy in strategies:
            folder = scratch / f"{strategy.partition(':')[0]}-{size}"
            shutil.copytree(filled, folder)
            opening_cpu, opening_wall, evaluator = searched(folder, strategy, size)
            cpu_ms, wall_ms = per_trial(evaluator)
            shutil.rmtree(folder)
            good = cpu_ms <= MOST_MS and opening_cpu <= MOST_REOPEN_S
            reached = reached and good
            print(
                f"{strategy:<12} at {size:>6}: {cpu_ms:6.2f} ms CPU a trial ({wall_ms:7.2f} ms wall); reopened in "
                f"{opening_cpu:5.1f} s CPU ({opening_wall:5.1f} s wall){'' if good else '   OVER'}",
                flush=True,
            )
    journal = filled / "study.journal"
    print(f"journal of {sizes[-1] - LAST - 1} trials: {journal.stat().st_size / 1e6:.0f} MB")
    return reached


def optunas(scratch: Path, size: int) -> None:
    """Optuna's samplers by its own ask and tell, for comparison."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers = {"RandomSampler": {}, "TPESampler": {}, "NSGAIISampler": {}}
    space = FortyChoices()
    for name, options in samplers.items():
        storage = JournalStorage(JournalFileBackend(str(scratch / f"{name}.journal")))
        study = optuna.create_study(
            storage=storage, sampler=getattr(optuna.samplers, name)(seed=0, **options), direction="maximize"
        )
        distributions = {
            choice.name: optuna.distributions.CategoricalDistribution(choice.options) for choice in space.choices
        }
        rng = np.random.default_rng(0)
        known = [space.sample(rng) for _ in range(size - LAST)]
        study.add_trials(
            optuna.trial.create_trial(params=each, distributions=distributions, value=0.5) for each in known
        )
        start = time.process_time(), time.perf_counter()
        for _ in range(LAST):
            trial = study.ask()
            values = [trial.suggest_categorical(choice.name, choice.options) for choice in space.choices]
            study.tell(trial, float(np.mean([value == "conv_3x3" for value in values])))
        cpu = (time.process_time() - start[0]) / LAST * 1e3
        wall = (time.perf_counter() - start[1]) / LAST * 1e3
        print(f"Optuna {name:<14} at {size:>6}: {cpu:6.2f} ms CPU a trial ({wall:7.2f} ms wall)", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[1000])
    parser.add_argument("--strategies", default="random,evolution")
    parser.add_argument("--optuna", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reached = ours(Path(folder), arguments.strategies.split(","), sorted(arguments.trials))
        if arguments.optuna:
            optunas(Path(folder), min(arguments.trials))
    print(f"limits: {MOST_MS:g} ms a trial, {MOST_REOPEN_S:g} s to reopen: {'kept' if reached else 'EXCEEDED'}")
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main())
