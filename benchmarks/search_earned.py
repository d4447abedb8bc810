"""Did the search earn its keep? The network that a deployment found, against what could be had without the search.

    python benchmarks/search_earned.py runs/camvid

takes a finished run directory of ``hwnas deploy`` and prints, all on ``val``:

(a) Fast-SCNN, its width scaled to the same measured latency, trained by the same recipe for all of the run's minutes;
(b) five random genotypes within the budget, each given the found network's own final training: the supernet's slices as
    initial weights, the same recipe, the same number of gradient steps;
(c) the Spearman correlation between the supernet's score and the stand-alone mIoU of eight random genotypes within the
    budget, each trained from scratch.

Trainings are bounded by gradient steps, so that whatever else runs on the machine decides nothing: those of (b) are the
run's own, those of (a) are what the run's minutes suffice for, by the time that a step was measured to take with all
cores. ``--jobs`` of them run at once, one thread each. Every result is recorded in RUN/earned.json when it is there;
started again, the script goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np

from hwnas.cli.job import Job
from hwnas.cli.offer import settings_from
from hwnas.cli.sampling import Sampling
from hwnas.cli.settings import Settings
from hwnas.cli.stages.data import open_validation_data
from hwnas.cli.stages.exporting import time_untrained
from hwnas.cli.stages.training import train_genotype
from hwnas.files import write_json
from hwnas.ir.genotype import Genotype
from hwnas.progress import Silent
from hwnas.rundir import RunDir, read_config
from hwnas.search.strategy import STRATEGIES
from hwnas.skeletons.base import expand
from hwnas.training.metrics import evaluate
from hwnas.training.schedule import Budget as Time
from hwnas.zoo.catalog import load
from hwnas.zoo.scaling import scale_widths

RANDOM, STAND_ALONE = 5, 8


class Contest:
    """The trainings of the comparison, in the setting of a finished run."""

    def __init__(self, run: RunDir, settings: Settings) -> None:
        self.job = Job(run, settings, Silent())
        self.search = Sampling(self.job)
        self.data = self.job.data
        # what the found network was given, its beginning in the finals included
        self.final_steps = int(json.loads((run / "train.json").read_text())["steps"])

    def decisions(self) -> list[dict]:
        """Random candidates within the budget; the first five are those of (b)."""
        strategy = STRATEGIES.get("random")(self.search.field.problem, seed=self.job.settings.seed + 1)
        return [dict(request.decisions) for request in strategy.ask(STAND_ALONE)]

    def train(self, genotype: Genotype, budget: Time, initial: dict | None = None, threads: int = 1) -> dict:
        """Train on all of ``train``, score on ``val``."""
        trained = train_genotype(
            genotype,
            self.data,
            budget=budget,
            indices=self.data.everything,
            initial=initial,
            seed=self.job.settings.seed,
            threads=threads,
            log=None,
            progress=Silent(),
        )
        val = open_validation_data(self.data.dataset, self.job.settings.size_hw, Silent())
        spent = trained.fitted.spent
        miou = evaluate(trained.network, val, self.data.classes).miou
        return {"miou": miou, "steps": spent.steps, "seconds": round(spent.seconds, 1)}

    def measure(self, genotype: Genotype) -> float:
        """Latency in the engine, ms."""
        settings = self.job.settings
        graph = expand(genotype, (3, *settings.size_hw), self.data.classes)
        with tempfile.TemporaryDirectory() as scratch:
            return time_untrained(graph, Path(scratch), seconds=2.0, threads=settings.threads).p50_ms

    def matched(self) -> dict:
        """The width at which Fast-SCNN is just not faster than the found network, and the steps that it is due."""
        low, high = 0.25, 1.5
        for _ in range(6):
            middle = (low + high) / 2
            faster = self.measure(scale_widths(load("fast-scnn"), middle)) < self.measure(self.job.genotype)
            low, high = (middle, high) if faster else (low, middle)
        genotype = scale_widths(load("fast-scnn"), high)
        trial = self.train(genotype, Time(seconds=40.0), threads=len(os.sched_getaffinity(0)))
        return {
            "width": high,
            "latency_ms": self.measure(genotype),
            "found_ms": self.measure(self.job.genotype),
            "steps": round(60 * self.job.settings.minutes / trial["seconds"] * trial["steps"]),
        }

    def final(self, index: int) -> dict:
        """(b): a random genotype given the found network's final training."""
        genotype = self.search.field.space.decode(self.decisions()[index]).genotype
        evaluator = self.search.evaluator
        initial = evaluator.network(expand(genotype, (3, *evaluator.size_hw), self.data.classes)).state_dict()
        return self.train(genotype, Time(steps=self.final_steps), initial)

    def stand_alone(self, index: int, steps: int) -> dict:
        """(c): supernet score of a random genotype, and its mIoU when trained from scratch."""
        decisions = self.decisions()[index]
        pricing, evaluator = self.search.field.pricing, self.search.evaluator
        score = evaluator.score(pricing.graph(decisions, (3, *evaluator.size_hw))).miou
        result = self.train(self.search.field.space.decode(decisions).genotype, Time(steps=steps))
        return {**result, "score": score, "predicted_ms": pricing.latency_ms(decisions)}


def work(run: Path, name: str, steps: int, width: float) -> dict:
    """One training, in a process of its own."""
    config = read_config(run)
    contest = Contest(RunDir(run, config, None), settings_from(config))
    kind, _, index = name.partition(" ")
    if kind == "random":
        return contest.final(int(index))
    if kind == "stand-alone":
        return contest.stand_alone(int(index), steps)
    return contest.train(scale_widths(load("fast-scnn"), width), Time(steps=steps))


def spearman(a: list[float], b: list[float]) -> float:
    """Rank correlation; ranks by order of value (no two of these are equal)."""
    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def report(found: float, record: dict[str, dict]) -> None:
    """Print what is there."""
    print(f"found                              {found:.2%}")
    if "fast-scnn" in record:
        fast, matched = record["fast-scnn"], record["matched"]
        holds = "holds" if found >= fast["miou"] - 0.01 else "FAILS"
        print(
            f"Fast-SCNN x{matched['width']:.2f}                    {fast['miou']:.2%}   {fast['steps']} steps, "
            f"{matched['latency_ms']:.2f} ms (found {matched['found_ms']:.2f}); "
            f"{holds}: found is that less 1 point or more"
        )
    finals = [record[f"random {i}"]["miou"] for i in range(RANDOM) if f"random {i}" in record]
    if finals:
        holds = "holds" if found >= np.median(finals) else "FAILS"
        print(
            f"random, same final training        {np.median(finals):.2%}   median of {len(finals)}, "
            f"{min(finals):.2%} to {max(finals):.2%}; {holds}: found is the median or more"
        )
    alone = [record[f"stand-alone {i}"] for i in range(STAND_ALONE) if f"stand-alone {i}" in record]
    if len(alone) > 2:
        rho = spearman([each["score"] for each in alone], [each["miou"] for each in alone])
        print(f"Spearman, score to stand-alone     {rho:.2f}   {len(alone)} genotypes, {alone[0]['steps']} steps each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--stand-alone-steps", type=int, default=1500, help="gradient steps from scratch in (c)")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once")
    arguments = parser.parse_args()
    config = read_config(arguments.run)
    found = json.loads((arguments.run / "result.json").read_text())["validate"]["miou"]
    path = arguments.run / "earned.json"
    record: dict[str, dict] = json.loads(path.read_text()) if path.exists() else {}

    def keep(name: str, value: dict) -> None:
        record[name] = value
        write_json(path, record)
        print(f"{name}: {value}", flush=True)

    with RunDir.open(arguments.run, config, resume=True) as run:
        if "matched" not in record:
            settings = settings_from(config)
            keep("matched", Contest(run, settings).matched())
        matched = record["matched"]
        tasks = [("fast-scnn", matched["steps"])]
        tasks += [(f"random {i}", 0) for i in range(RANDOM)]
        tasks += [(f"stand-alone {i}", arguments.stand_alone_steps) for i in range(STAND_ALONE)]
        todo = [task for task in tasks if task[0] not in record]
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(arguments.jobs, mp_context=context, max_tasks_per_child=1) as pool:
            futures = {pool.submit(work, arguments.run, name, steps, matched["width"]): name for name, steps in todo}
            for future in as_completed(futures):
                keep(futures[future], future.result())
    report(found, record)


if __name__ == "__main__":
    main()
