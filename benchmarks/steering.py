"""Paths that steer a supernet's training, against uniform ones, at equal gradient steps.

    python benchmarks/steering.py --data camvid:CamVid --size 120x160 --table table.json --budget 10ms --out steering

For each path sampler a supernet of the same space is trained from the same weights for the same number of gradient
steps. Then

- ``--nets`` random genotypes within the budget, the same for all, are scored as slices of each supernet, and trained
  from scratch, once, for ``--alone`` steps: the Spearman correlation of score and mIoU on ``val`` says how well a
  supernet ranks;
- each sampler's own search (``greedynas`` and ``pcnas`` from their pools, evolution after uniform paths) evaluates
  ``--evaluations`` slices, and the best one is trained from scratch likewise: its mIoU says what is found.

Latencies are the table's, at its own size; images are trained on at ``--size``, which may be smaller. Paths that a
sampler judged cost forward passes on a few held-out images beside the gradient steps, and are counted. Everything is
recorded in OUT/steering.json when it is there; started again, the script goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from hwnas.cli.options import parse_budget_ms
from hwnas.cli.stages import searching
from hwnas.cli.stages.data import open_training_data, open_validation_data
from hwnas.cli.stages.training import RECIPE, train_genotype
from hwnas.files import write_json
from hwnas.latency.model import TableModel
from hwnas.latency.table import load_table
from hwnas.progress import Silent
from hwnas.search.evaluators.slices import SliceScores
from hwnas.search.make import make_strategy
from hwnas.search.objective import Budget, Objective
from hwnas.search.pooled import takes_pool
from hwnas.search.strategy import decisions_from_json
from hwnas.shapes import parse_size
from hwnas.spaces.base import SPACES
from hwnas.supernet.evaluate import SliceEvaluator
from hwnas.supernet.judge import IMAGES
from hwnas.supernet.train import SUPERNET_RECIPE, train_supernet
from hwnas.training.metrics import evaluate
from hwnas.training.schedule import Budget as Time

LATENCY = "latency_ms"
SAMPLERS = {"uniform": "evolution", "greedynas": "greedynas", "pcnas": "pcnas"}
"""Each sampler, and the strategy that searches its supernet."""

TO_THE_END = {"greedynas": {"settle": -1.0}}
"""Options of samplers that would end the training before its last step."""


class Contest:
    """The space, the data and the trainings of the comparison."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.options = arguments
        self.size_hw = parse_size(arguments.size)
        self.data = open_training_data(arguments.data, self.size_hw, Silent())
        table = load_table(arguments.table)
        budget = Budget(parse_budget_ms(arguments.budget))
        self.field = searching.lay_out(
            SPACES.get(arguments.space),
            {LATENCY: TableModel(table)},
            Objective.under(budget),
            {LATENCY: budget},
            table.contract.size_hw,
            self.data.classes,
            arguments.seed,
        )
        crop = {"crop": arguments.crop}
        self.recipe, self.supernet_recipe = RECIPE.with_values(crop), SUPERNET_RECIPE.with_values(crop)

    def nets(self) -> list[dict]:
        """The random genotypes that all are compared on."""
        strategy = make_strategy("random", self.field.problem, seed=self.options.seed + 1)
        return [dict(request.decisions) for request in strategy.ask(self.options.nets)]

    def supernet(self, name: str) -> dict:
        """Train one, in OUT/name.safetensors; what it cost, the pool, the slices' scores, and what its search finds."""
        seed, out = self.options.seed, self.options.out
        shared = searching._fresh_weights(self.field, self.data, seed)
        options = TO_THE_END.get(name, {})
        sampler = searching.path_sampler(name, self.field, self.data, shared, seed, **options)
        trained = train_supernet(
            shared,
            sampler,
            self.field.pricing.graph,
            self.data.arrays,
            self.data.train,
            self.data.classes,
            budget=Time(steps=self.options.steps),
            price=self.field.pricing.latency_ms,
            recipe=self.supernet_recipe,
            seed=seed,
            threads=self.options.threads,
            checkpoint=out / f"{name}.safetensors",
            checkpoint_seconds=60.0,
            log=out / f"{name}.jsonl",
        )
        with tempfile.TemporaryDirectory() as scratch:
            saved = searching.save_pool(sampler, Path(scratch) / "pool.json")
        evaluator = SliceEvaluator(
            shared, self.data.arrays, self.data.train, self.data.held, self.data.classes, size_hw=self.size_hw
        )
        scores = SliceScores(self.field.space, evaluator, self.field.pricing.graph)
        return {
            "steps": trained.steps,
            "mean_path_ms": trained.mean_path_ms,
            "judged": saved["judged"],
            "forward_images": saved["judged"] * IMAGES,
            "settled": saved["settled"],
            "scores": [
                evaluator.score(self.field.pricing.graph(each, (3, *self.size_hw))).miou for each in self.nets()
            ],
            "found": self.search(name, scores, [decisions_from_json(each["decisions"]) for each in saved["pool"]]),
        }

    def graph(self, decisions: dict):
        """For images of the size that is trained at."""
        return self.field.pricing.graph(decisions, (3, *self.size_hw))

    def search(self, name: str, scores: SliceScores, pool: list[dict]) -> dict:
        """The best slice that the sampler's own strategy finds."""
        strategy = SAMPLERS[name]
        options = {"pool": pool} if takes_pool(strategy) else {}
        proposer = make_strategy(strategy, self.field.problem, seed=self.options.seed, **options)
        best: dict = {"score": -1.0, "evaluations": 0}
        while best["evaluations"] < self.options.evaluations and (asked := proposer.ask(1)):
            outcome = self.field.problem.objective.judge(self.priced(scores.evaluate(asked[0])))
            proposer.tell([outcome])
            best["evaluations"] += 1
            if outcome.values["miou"] > best["score"]:
                best.update(score=outcome.values["miou"], decisions=dict(asked[0].decisions))
        return {**best, "predicted_ms": self.field.pricing.latency_ms(best["decisions"])}

    def priced(self, outcome):
        costs = self.field.problem.price(outcome.request.decisions)
        return type(outcome)(outcome.request, {**costs, **outcome.values}, outcome.status, outcome.note)

    def alone(self, decisions: dict) -> dict:
        """mIoU on ``val`` of a genotype trained from scratch."""
        trained = train_genotype(
            self.field.space.decode(decisions).genotype,
            self.data,
            budget=Time(steps=self.options.alone),
            indices=self.data.everything,
            recipe=self.recipe,
            seed=self.options.seed,
            threads=self.options.threads,
            log=None,
            progress=Silent(),
        )
        val = open_validation_data(self.data.dataset, self.size_hw, Silent())
        miou = evaluate(trained.network, val, self.data.classes).miou
        return {"miou": miou, "predicted_ms": self.field.pricing.latency_ms(decisions)}


def spearman(a: list[float], b: list[float]) -> float:
    """Rank correlation; equal values share their mean rank."""

    def ranks(values: list[float]) -> np.ndarray:
        array = np.asarray(values)
        return np.array([np.mean(np.flatnonzero(np.sort(array) == value)) for value in array])

    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def report(record: dict[str, dict], nets: int) -> None:
    """The table, of what is there."""
    alone = {int(name.split()[1]): entry["miou"] for name, entry in record.items() if name.startswith("net ")}
    done = sorted(alone)
    if done:
        values = [alone[index] for index in done]
        print(
            f"{len(done)} of {nets} random nets alone: {np.median(values):.2%}, {min(values):.2%} to {max(values):.2%}"
        )
    print("sampler     steps  judged   Spearman   best alone   slice")
    for name in SAMPLERS:
        if f"supernet {name}" not in record:
            continue
        entry = record[f"supernet {name}"]
        rho = f"{spearman([entry['scores'][i] for i in done], [alone[i] for i in done]):+.2f}" if len(done) > 2 else "-"
        found = record.get(f"found {name}")
        best = f"{found['miou']:.2%}" if found else "-"
        print(
            f"{name:10} {entry['steps']:6} {entry['judged']:7}   {rho:>8}   {best:>10}   {entry['found']['score']:.2%}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="streets")
    parser.add_argument("--size", default="96x128", help="of the images that are trained on")
    parser.add_argument("--table", type=Path, required=True, help="a latency table of the space, at any size")
    parser.add_argument("--budget", default="10ms")
    parser.add_argument("--space", default="realtime")
    parser.add_argument("--steps", type=int, default=300, help="gradient steps of each supernet")
    parser.add_argument("--nets", type=int, default=8, help="random nets that are trained alone")
    parser.add_argument("--alone", type=int, default=150, help="gradient steps of each of those")
    parser.add_argument("--evaluations", type=int, default=40, help="slices that each search looks at")
    parser.add_argument("--crop", type=float, default=0.5, help="crops' part of height and width")
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS), choices=list(SAMPLERS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "steering.json"
    asked = {name: str(value) for name, value in vars(arguments).items() if name not in ("out", "threads", "samplers")}
    record: dict[str, dict] = json.loads(path.read_text()) if path.exists() else {"of": asked}
    if record["of"] != asked:
        raise SystemExit(f"{path} is of {record['of']}, not of {asked}: give another --out")
    contest = Contest(arguments)

    def keep(name: str, value: dict) -> None:
        record[name] = value
        write_json(path, record)
        print(
            f"{name}: { {key: each for key, each in value.items() if key not in ('scores', 'decisions')} }", flush=True
        )

    for name in arguments.samplers:
        if f"supernet {name}" not in record:
            keep(f"supernet {name}", contest.supernet(name))
    for name in arguments.samplers:
        if f"found {name}" not in record:
            found = decisions_from_json(record[f"supernet {name}"]["found"]["decisions"])
            keep(f"found {name}", contest.alone(found))
    for index, decisions in enumerate(contest.nets()):
        if f"net {index}" not in record:
            keep(f"net {index}", contest.alone(decisions))
    report(record, arguments.nets)


if __name__ == "__main__":
    main()
