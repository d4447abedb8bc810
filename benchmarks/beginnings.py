"""What says early how good a network will be? Signs before and during its training, against what it ends at.

    python benchmarks/beginnings.py --data camvid:CamVid --size 120x160 --table table.json --budget 10ms --out signs

Random networks within a budget begin with their slices of a supernet and are trained for equal CPU time, each for as
many gradient steps as that allows, and are scored on the held-out blocks on the way. Beside that each is given one
short training of its own, whose learning rate falls to nothing. Printed are, of each sign, the Spearman correlation
with the final mIoU (the mean of held-out blocks and ``val``), and what the best of eight by that sign ends at on
``val``, in the mean of many draws of eight: what finals of a search would gain by it.

Latencies are the table's, at its own size. Everything is recorded in OUT/beginnings.json when it is there; started
again, the script goes on where it was. ``val`` is looked at here to judge the method; no search may do so.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from steering import Contest, spearman

from hwnas.cli.stages import searching
from hwnas.cli.stages.data import open_validation_data
from hwnas.cli.stages.training import train_genotype
from hwnas.compiler.cost import cost_of
from hwnas.files import write_json
from hwnas.progress import Silent
from hwnas.supernet.evaluate import SliceEvaluator
from hwnas.supernet.train import train_supernet
from hwnas.training.metrics import evaluate
from hwnas.training.schedule import Budget as Time

PARTS = (0.03, 0.08, 0.25, 0.5, 1.0)
SHORT = 0.06
"""Of the CPU time, for the training whose learning rate falls to nothing."""
DRAWS, FINALISTS = 4000, 8


class Signs(Contest):
    """The trainings; the space, the data and the random networks are those of steering.py."""

    def prepare(self) -> None:
        """Train the supernet whose slices everything begins with; goes on from OUT/supernet.safetensors."""
        seed = self.options.seed
        shared = searching._fresh_weights(self.field, self.data, seed)
        train_supernet(
            shared,
            searching.path_sampler("uniform", self.field, self.data, shared, seed),
            self.field.pricing.graph,
            self.data.arrays,
            self.data.train,
            self.data.classes,
            budget=Time(steps=self.options.steps),
            price=self.field.pricing.latency_ms,
            recipe=self.supernet_recipe,
            seed=seed,
            threads=1,
            checkpoint=self.options.out / "supernet.safetensors",
        )
        self.evaluator = SliceEvaluator(
            shared, self.data.arrays, self.data.train, self.data.held, self.data.classes, size_hw=self.size_hw
        )
        self.val = open_validation_data(self.data.dataset, self.size_hw, Silent())

    def entry(self, index: int) -> dict:
        """Everything of one network."""
        decisions, seconds = self.nets()[index], self.options.seconds
        graph = self.graph(decisions)
        step_s = self.step_seconds(decisions)
        steps = max(len(PARTS) * 4, round(seconds / step_s))
        cost = cost_of(self.field.pricing.graph(decisions))
        checkpoint = self.options.out / f"net{index}.safetensors"
        found = {
            "latency_ms": self.field.pricing.latency_ms(decisions),
            "params": cost.params,
            "macs": cost.macs,
            "slice": self.evaluator.score(graph).miou,
            "step_s": step_s,
            "steps": steps,
            "short": self.score(self.trained(decisions, max(2, round(SHORT * steps)))),
            "parts": [self.score(self.trained(decisions, steps, part, checkpoint)) for part in PARTS],
        }
        found["val"] = evaluate(self.trained(decisions, steps, 1.0, checkpoint), self.val, self.data.classes).miou
        checkpoint.unlink()
        return found

    def trained(self, decisions: dict, steps: int, until: float = 1.0, checkpoint: Path | None = None):
        """The network after that part of a training of ``steps`` steps."""
        return train_genotype(
            self.field.space.decode(decisions).genotype,
            self.data,
            budget=Time(steps=steps),
            until=until,
            indices=self.data.train,
            initial=self.evaluator.network(self.graph(decisions)).state_dict(),
            recipe=self.recipe,
            seed=self.options.seed,
            threads=1,
            checkpoint=checkpoint,
            log=None,
            progress=Silent(),
        ).network

    def step_seconds(self, decisions: dict) -> float:
        """CPU seconds of a gradient step: what ten take more than two."""
        took = []
        for steps in (2, 10):
            start = time.process_time()
            self.trained(decisions, steps)
            took.append(time.process_time() - start)
        return max(1e-3, (took[1] - took[0]) / 8)

    def score(self, network) -> float:
        return evaluate(network, self.data.arrays, self.data.classes, indices=self.data.held).miou


def report(entries: list[dict]) -> None:
    """The table."""
    held = np.array([each["parts"][-1] for each in entries])
    val = np.array([each["val"] for each in entries])
    signs = {name: np.array([each[name] for each in entries]) for name in ("latency_ms", "params", "macs", "slice")}
    signs["speed of a step"] = -np.array([each["step_s"] for each in entries])
    signs["short training"] = np.array([each["short"] for each in entries])
    for place, part in enumerate(PARTS):
        signs[f"{part:.0%} of the training"] = np.array([each["parts"][place] for each in entries])
    rng = np.random.default_rng(0)
    draws = [rng.choice(len(entries), min(FINALISTS, len(entries)), replace=False) for _ in range(DRAWS)]
    first, second = (np.array([each["parts"][place] for each in entries]) for place in (0, 1))
    print(f"{len(entries)} networks, {min(e['steps'] for e in entries)} to {max(e['steps'] for e in entries)} steps")
    print(f"{'sign':24} Spearman   best of {FINALISTS} by it, on val")
    for name, values in signs.items():
        chosen = np.mean([val[draw[np.argmax(values[draw])]] for draw in draws])
        print(f"{name:24} {spearman(list(values), list((held + val) / 2)):+8.2f}   {chosen:.2%}")
    top = [draw[np.argsort(-first[draw])[:3]] for draw in draws]
    both = np.mean([val[three[np.argmax((first + second)[three])]] for three in top])
    print(f"{'both comparisons':24} {'':8}   {both:.2%}")
    print(
        f"{'any; the best there is':24} {'':8}   {val.mean():.2%}; {np.mean([val[draw].max() for draw in draws]):.2%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="streets")
    parser.add_argument("--size", default="96x128", help="of the images that are trained on")
    parser.add_argument("--table", type=Path, required=True, help="a latency table of the space, at any size")
    parser.add_argument("--budget", default="10ms")
    parser.add_argument("--space", default="realtime")
    parser.add_argument("--steps", type=int, default=300, help="gradient steps of the supernet")
    parser.add_argument("--nets", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=10.0, help="CPU seconds of each training")
    parser.add_argument("--crop", type=float, default=0.5, help="crops' part of height and width")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "beginnings.json"
    asked = {name: str(value) for name, value in vars(arguments).items() if name != "out"}
    record: dict = json.loads(path.read_text()) if path.exists() else {"of": asked, "nets": []}
    if record["of"] != asked:
        raise SystemExit(f"{path} is of {record['of']}, not of {asked}: give another --out")
    signs = Signs(arguments)
    signs.prepare()
    for index in range(len(record["nets"]), arguments.nets):
        record["nets"].append(signs.entry(index))
        write_json(path, record)
        print(index, record["nets"][-1], flush=True)
    report(record["nets"])


if __name__ == "__main__":
    main()
