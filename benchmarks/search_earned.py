"""Did the search earn its keep? The network that a deployment found, against what could be had without the search.

    python benchmarks/search_earned.py runs/camvid

takes a finished run directory of ``hwnas deploy`` and prints, all on ``val``:

(a) Fast-SCNN, its width scaled to the same measured latency, trained by the same recipe for all of the run's minutes;
(b) five random genotypes within the budget, each given the found network's own final training: the supernet's slices as
    initial weights, the same recipe, the same number of gradient steps;
(c) the Spearman correlation between the supernet's score and the stand-alone mIoU of eight random genotypes within the
    budget, each trained from scratch.

Every training is recorded in RUN/earned.json when it ends; started again, the script goes on where it was. It takes about
five times the run's minutes. Trainings are compared at equal gradient steps where the run tells them, so that another
program on the machine cannot decide; (a) is bounded by seconds, as the run was.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hwnas.cli.deployment import Deployment, Settings
from hwnas.cli.output import stderr_console
from hwnas.cli.progress import open_progress
from hwnas.cli.stages.data import open_validation_data
from hwnas.cli.stages.exporting import measured_ms
from hwnas.cli.stages.training import train_genotype
from hwnas.files import write_json
from hwnas.ir.genotype import Genotype
from hwnas.progress import Progress
from hwnas.rundir import RunDir, read_config
from hwnas.search.strategy import STRATEGIES
from hwnas.skeletons.base import expand
from hwnas.training.metrics import evaluate
from hwnas.training.schedule import Budget as Time
from hwnas.zoo.catalog import load
from hwnas.zoo.scaling import scale_widths

RANDOM, STAND_ALONE = 5, 8


class Record:
    """Results by name, kept in a file; what is there is not computed again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, dict] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, name: str, compute: Callable[[], dict]) -> dict:
        if name not in self.values:
            self.values[name] = compute()
            write_json(self.path, self.values)
            print(f"{name}: {self.values[name]}", flush=True)
        return self.values[name]


class Contest:
    """The trainings of the comparison, in the setting of a finished run."""

    def __init__(self, job: Deployment, progress: Progress, stand_alone_steps: int | None) -> None:
        self.job, self.progress = job, progress
        self.data = job.data
        self.val = open_validation_data(self.data.dataset, job.settings.size_hw, progress)
        self.final_steps = int(json.loads((job.run / "train.json").read_text())["steps"])
        self.stand_alone_steps = stand_alone_steps or self.final_steps // 2
        self.genotypes = self._random_decisions()

    def _random_decisions(self) -> list[dict]:
        strategy = STRATEGIES.get("random")(self.job.field.problem, seed=self.job.settings.seed + 1)
        return [dict(request.decisions) for request in strategy.ask(STAND_ALONE)]

    def trained_miou(self, genotype: Genotype, budget: Time, initial: dict | None) -> dict:
        trained = train_genotype(
            genotype,
            self.data,
            budget=budget,
            indices=self.data.everything,
            initial=initial,
            seed=self.job.settings.seed,
            threads=None,
            log=None,
            progress=self.progress,
        )
        spent = trained.fitted.spent
        miou = evaluate(trained.network, self.val, self.data.classes).miou
        return {"miou": miou, "steps": spent.steps, "seconds": round(spent.seconds, 1)}

    def fast_scnn(self) -> dict:
        """At the width whose measured latency is nearest to the found network's from above."""
        found_ms = self.measure(self.job.genotype)
        low, high = 0.25, 1.5
        for _ in range(6):
            middle = (low + high) / 2
            if self.measure(scale_widths(load("fast-scnn"), middle)) < found_ms:
                low = middle
            else:
                high = middle
        genotype = scale_widths(load("fast-scnn"), high)
        result = self.trained_miou(genotype, Time(seconds=60 * self.job.settings.minutes), None)
        return {
            **result,
            "width": high,
            "latency_ms": self.measure(genotype),
            "found_ms": self.measure(self.job.genotype),
        }

    def measure(self, genotype: Genotype) -> float:
        settings = self.job.settings
        graph = expand(genotype, (3, *settings.size_hw), self.data.classes)
        with tempfile.TemporaryDirectory() as scratch:
            return measured_ms(graph, Path(scratch), seconds=2.0, threads=settings.threads)

    def final(self, index: int) -> dict:
        """A random genotype given the found network's final training."""
        genotype = self.job.field.space.decode(self.genotypes[index]).genotype
        evaluator = self.job.evaluator
        initial = evaluator.network(expand(genotype, (3, *evaluator.size_hw), self.data.classes)).state_dict()
        return self.trained_miou(genotype, Time(steps=self.final_steps), initial)

    def stand_alone(self, index: int) -> dict:
        """Supernet score of a random genotype, and its mIoU when trained from scratch."""
        decisions = self.genotypes[index]
        graph = self.job.field.pricing.graph(decisions, (3, *self.job.evaluator.size_hw))
        score = self.job.evaluator.score(graph).miou
        result = self.trained_miou(
            self.job.field.space.decode(decisions).genotype, Time(steps=self.stand_alone_steps), None
        )
        return {**result, "score": score, "predicted_ms": self.job.field.pricing.latency_ms(decisions)}


def spearman(a: list[float], b: list[float]) -> float:
    """Rank correlation; ranks by order of value (no two of these are equal)."""
    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def report(found: float, record: Record) -> None:
    fast = record.values["fast-scnn"]
    finals = [record.values[f"random {i}"]["miou"] for i in range(RANDOM)]
    alone = [record.values[f"stand-alone {i}"] for i in range(STAND_ALONE)]
    rho = spearman([each["score"] for each in alone], [each["miou"] for each in alone])
    print(f"found                              {found:.2%}")
    print(
        f"Fast-SCNN x{fast['width']:.2f}, {fast['latency_ms']:.2f} ms     {fast['miou']:.2%}   "
        f"{'holds' if found >= fast['miou'] - 0.01 else 'FAILS'}: found is at least that less 1 point"
    )
    print(
        f"random, same final training        {np.median(finals):.2%}   (median of {RANDOM}; "
        f"{min(finals):.2%} to {max(finals):.2%})   "
        f"{'holds' if found >= np.median(finals) else 'FAILS'}: found is at least the median"
    )
    print(f"Spearman, score to stand-alone     {rho:.2f}   over {STAND_ALONE} genotypes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--stand-alone-steps", type=int, help="gradient steps of each training from scratch")
    arguments = parser.parse_args()
    config = read_config(arguments.run)
    settings = Settings(**{**config, "size_hw": tuple(config["size_hw"])})
    found = json.loads((arguments.run / "result.json").read_text())["validate"]["miou"]
    with (
        RunDir.open(arguments.run, config, resume=True) as run,
        open_progress(stderr_console(), quiet=False) as progress,
    ):
        contest = Contest(Deployment(run, settings, progress), progress, arguments.stand_alone_steps)
        record = Record(run / "earned.json")
        record.get("fast-scnn", contest.fast_scnn)
        for i in range(RANDOM):
            record.get(f"random {i}", lambda i=i: contest.final(i))
        for i in range(STAND_ALONE):
            record.get(f"stand-alone {i}", lambda i=i: contest.stand_alone(i))
    report(found, record)


if __name__ == "__main__":
    main()
