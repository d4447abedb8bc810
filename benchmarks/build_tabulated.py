"""Builds a tabulated benchmark of search: genotypes with real supernet scores, table latencies and trainings.

    python benchmarks/build_tabulated.py tab --minutes 40

makes, in the folder ``tab``, a latency table of this machine, a supernet of the space of ``tabulated.py``, the scores
of its slices for all 14,580 genotypes, and trainings of 324 of them at 1×, 2× and 3× ``--steps``, each going on from
the last as ``--evaluator training`` does it; ``--share`` says which part of the time is for trainings. All of it goes
on where it was when the script is started again, and whatever is there by the end of ``--minutes`` is written to
``tab/benchmark.json``, which ``strategies.py`` reads. Items are in random order, so a file that is not complete holds a
uniform sample.

Scores and trainings are mIoU on images held out of ``train``; ``val`` is never opened. On an AMD EPYC with other
processes on the core, a score took 0.04 s of CPU time and 100 steps of a training 1.5 s: half an hour of a core for the
whole file, beside a minute for the table and one or two for the supernet.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tabulated import FIDELITIES, FILE, Lines, everything, key_of, scored_space, trained_space

from hwnas.cli.stages.data import open_training_data
from hwnas.cli.stages.profiling import profile_space
from hwnas.cli.stages.training import RECIPE
from hwnas.files import write_json
from hwnas.latency.measure import Setting
from hwnas.latency.model import TableModel
from hwnas.latency.table import load_table
from hwnas.progress import Silent
from hwnas.search.costs import LATENCY, SearchCosts
from hwnas.search.evaluators.training import TrainingEvaluator, TrainingPlan
from hwnas.search.strategy import Request
from hwnas.shapes import Shape, parse_size
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES, Decisions
from hwnas.supernet.evaluate import SliceEvaluator
from hwnas.supernet.samplers.uniform import Uniform
from hwnas.supernet.shared import SharedWeights
from hwnas.training.schedule import Budget

COSTS = (LATENCY, "params", "macs")
TABLE, SUPERNET, SCORES, TRAININGS = "latency.json", "supernet.safetensors", "scores.jsonl", "trained.jsonl"
SETTINGS = "settings.json"


class Tabulation:
    """The work, in a folder."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.options = folder, options
        self.space = scored_space()
        self.data = open_training_data(options.data, options.size, Silent())
        rng = np.random.default_rng(options.seed)
        self.genotypes = everything(self.space)
        rng.shuffle(self.genotypes)  # type: ignore[arg-type]
        self.to_train = everything(trained_space())
        rng.shuffle(self.to_train)  # type: ignore[arg-type]
        self.scores, self.trainings = Lines(folder / SCORES), Lines(folder / TRAININGS)

    def table(self) -> TableModel:
        """The latency table: the one that was given, or one of this machine."""
        path = self.options.table or self.folder / TABLE
        if not path.exists():
            SPACES.register("tabulated", self.space)
            seconds = 60 * self.options.profile_minutes
            setting, classes = Setting("onnxruntime", threads=1), self.data.classes
            profile_space(
                "tabulated",
                self.options.size,
                classes,
                setting=setting,
                seconds=seconds,
                table=path,
                seed=0,
                progress=Silent(),
            )
        return TableModel(load_table(path))

    def graph(self, decisions: Decisions, shape: Shape) -> Any:
        return expand(self.space.decode(decisions).genotype, shape, self.data.classes)

    def evaluator(self) -> SliceEvaluator:
        """Of the supernet, trained now if it is not."""
        from hwnas.supernet.train import train_supernet

        shape: Shape = (3, *self.options.size)
        shared = SharedWeights.for_space(self.space, shape, self.data.classes, np.random.default_rng(0))
        train_supernet(
            shared,
            Uniform(self.space),
            self.graph,
            self.data.arrays,
            self.data.train,
            self.data.classes,
            budget=Budget(steps=self.options.supernet_steps),
            price=lambda decisions: 0.0,
            seed=self.options.seed,
            threads=1,
            checkpoint=self.folder / SUPERNET,
        )
        held = self.data.held[: self.options.held]
        return SliceEvaluator(
            shared, self.data.arrays, self.data.train, held, self.data.classes, calibration=8, batch=len(held)
        )

    def score(self, evaluator: SliceEvaluator) -> Iterator[None]:
        for decisions in self.genotypes:
            if (key := key_of(self.space, decisions)) not in self.scores.rows:
                graph = self.graph(decisions, (3, *evaluator.size_hw))
                self.scores.add(key, score=round(evaluator.score(graph).miou, 6))
                yield

    def train(self) -> Iterator[None]:
        for decisions in self.to_train:
            if (key := key_of(self.space, decisions)) not in self.trainings.rows:
                self.trainings.add(key, miou=self._trained(decisions))
                yield

    def _trained(self, decisions: Decisions) -> list[float]:
        """Held-out mIoU after each of the three trainings."""
        options, found = self.options, list[float]()
        with tempfile.TemporaryDirectory() as folder:
            plan = TrainingPlan(
                steps=round(options.steps / FIDELITIES[0]),
                recipe=RECIPE,
                seed=options.seed,
                checkpoints=Path(folder),
                threads=1,
            )
            evaluator, checkpoint = TrainingEvaluator(self.space, self.data.images, plan), None
            for fidelity in FIDELITIES:
                outcome = evaluator.evaluate(Request(decisions, 0, fidelity, checkpoint))
                if outcome.status != "ok":
                    raise SystemExit(f"a training failed: {outcome.note}")
                checkpoint = outcome.checkpoint
                found.append(round(outcome.values["miou"], 6))
        return found

    def write(self, model: TableModel) -> None:
        """The benchmark file, of what is there."""
        rng = np.random.default_rng(0)
        priced = SearchCosts(self.space, self.options.size, self.data.classes, {"table": model}, rng)
        by_key = {key_of(self.space, decisions): decisions for decisions in self.genotypes}
        keys = [key for key in by_key if key in self.scores.rows or key in self.trainings.rows]
        costs = priced.of_many([by_key[key] for key in keys], COSTS)
        items = {
            key: {
                "costs": [round(float(costs[name][index]), 6) for name in COSTS],
                "score": self.scores.rows.get(key, {}).get("score"),
                "trained": self.trainings.rows.get(key, {}).get("miou", []),
            }
            for index, key in enumerate(keys)
        }
        contract = model.table.contract.to_dict()
        settings = json.loads((self.folder / SETTINGS).read_text())
        document = {"costs": COSTS, "fidelities": FIDELITIES, "settings": settings, "timing": contract, "items": items}
        write_json(self.folder / FILE, document)


def spend(seconds: float, work: Iterator[None], what: str, clock: Callable[[], float] = time.monotonic) -> None:
    """Do items of work until the time is over; say what one took."""
    start, done, cpu = clock(), 0, time.process_time()
    for _ in work:
        done += 1
        if clock() - start > seconds:
            break
    if done:
        spent = (time.process_time() - cpu) / done
        print(f"{what}: {done} more, {(clock() - start) / done:.2f} s each, {spent:.2f} s of CPU time", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0, help="ends after about so long; start it again")
    parser.add_argument("--share", type=float, default=0.4, help="part of the time for trainings")
    parser.add_argument("--data", default="streets:size=64x96,train=120,val=10")
    parser.add_argument("--size", type=parse_size, default=(64, 96))
    parser.add_argument("--held", type=int, default=18, help="held-out images that scores are taken on")
    parser.add_argument("--steps", type=int, default=60, help="gradient steps of the shortest training")
    parser.add_argument("--supernet-steps", type=int, default=1500)
    parser.add_argument("--table", type=Path, help="a latency table; else one of this machine is made")
    parser.add_argument("--profile-minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options.folder.mkdir(parents=True, exist_ok=True)
    decisive = ("data", "size", "held", "steps", "supernet_steps", "seed")
    settings = json.loads(json.dumps({name: getattr(options, name) for name in decisive}))
    settings["trainings"] = "each goes on from the last"
    path = options.folder / SETTINGS
    if path.exists() and json.loads(path.read_text()) != settings:
        raise SystemExit(f"{path} was made with other settings: {path.read_text().strip()}")
    write_json(path, settings)
    end = time.monotonic() + 60 * options.minutes
    work = Tabulation(options.folder, options)
    model = work.table()
    start = time.monotonic()
    evaluator = work.evaluator()
    print(f"supernet: {time.monotonic() - start:.0f} s in this life", flush=True)
    left = max(end - time.monotonic(), 0.0)
    spend((1 - options.share) * left, work.score(evaluator), "scores")
    spend(max(end - time.monotonic(), 0.0), work.train(), "three trainings")
    work.write(model)
    print(
        f"{len(work.scores.rows)} of {len(work.genotypes)} genotypes scored, {len(work.trainings.rows)} of "
        f"{len(work.to_train)} trained at three fidelities; {options.folder / FILE}"
    )


if __name__ == "__main__":
    main()
