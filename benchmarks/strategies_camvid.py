"""Every strategy on CamVid: best mIoU on ``val`` under a latency budget, in short searches of equal time.

    python benchmarks/strategies_camvid.py runs/strategies --data camvid:CamVid --minutes 4 --jobs 2

For each strategy and each of three seeds it runs ``hwnas search`` at 120x160 for ``--minutes``, pinned to a core of its
own, ``--jobs`` at once: half of the time trains the supernet, a tenth searches it, the rest are the finals. The network
found is then scored on ``val`` with what it learned in the finals (it gets no training of its own: that would hide
differences between searches). All runs share one latency table, measured first, alone and on one core.

Runs are kept in the folder; started again, the script goes on with those that are missing or were cut off, and prints
the table again. 10 strategies × 3 seeds × 4 minutes, two at once, take an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np

from hwnas.files import write_json
from hwnas.latency.table import load_table, save_table

STRATEGIES: Mapping[str, tuple[str, ...]] = {
    "random": ("--strategy", "random"),
    "qmc": ("--strategy", "qmc"),
    "evolution": ("--strategy", "evolution"),
    "tpe": ("--strategy", "tpe"),
    "nsga2": ("--strategy", "nsga2"),
    "nsga3": ("--strategy", "nsga3"),
    "gp": ("--strategy", "gp"),
    "rl": ("--strategy", "rl"),
    "greedynas": ("--strategy", "greedynas", "--sampler", "greedynas"),
    "pcnas": ("--strategy", "pcnas", "--sampler", "pcnas"),
}
"""``halving`` and ``econas`` need trainings of several lengths, and are compared in ``strategies.py``."""

SCORED = "scored.json"


def hwnas(*words: object, core: int | None = None, log: Path) -> int:
    """Run the command line, on one core."""

    def pin() -> None:
        if core is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {core})

    environment = {**os.environ, "OMP_NUM_THREADS": "1"} if core is not None else dict(os.environ)
    with log.open("a") as stream:
        command = [sys.executable, "-m", "hwnas.cli", *map(str, words)]
        return subprocess.run(command, stdout=stream, stderr=stream, preexec_fn=pin, env=environment).returncode


def make_table(options: argparse.Namespace) -> Path:
    """The latency table of this machine, measured if it is not there."""
    table: Path = options.table or options.folder / "table.json"
    if not table.exists():
        words = ["profile", "--space", "realtime", "--size", options.size, "--minutes", options.profile_minutes]
        words += ["--classes", options.classes, "--pin", usable_cores()[0], "-o", table]
        if hwnas(*words, log=options.folder / "profile.log"):
            raise SystemExit(f"profiling failed: see {options.folder / 'profile.log'}")
    return table


def usable_cores() -> list[int]:
    """Cores that runs can be pinned to."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


def table_of(core: int, table: Path, folder: Path) -> Path:
    """The table as one of runs on ``core``: the cores of one machine are taken to be alike."""
    path = folder / f"table-core{core}.json"
    if not path.exists():
        measured = load_table(table)
        save_table(replace(measured, contract=replace(measured.contract, pinned=(core,))), path)
    return path


def run_one(name: str, seed: int, options: argparse.Namespace, table: Path, cores: Queue[int]) -> str:
    """One search and its score; "" or what went wrong."""
    place = options.folder / f"{name}-{seed}"
    if (place / SCORED).exists():
        return ""
    core = cores.get()
    try:
        words: list[object] = ["search", "--data", options.data, "--size", options.size, "--budget", options.budget]
        words += [
            "--table",
            table_of(core, table, options.folder),
            "--minutes",
            options.minutes,
            "--run",
            place,
            *STRATEGIES[name],
        ]
        words += ["--seed", seed, *(["--resume"] if place.exists() else [])]
        log = options.folder / f"{name}-{seed}.log"
        if hwnas(*words, core=core, log=log):
            return f"{name}, seed {seed}: failed, see {log}"
        script = [sys.executable, __file__, str(options.folder), "--score", str(place)]
        with log.open("a") as stream:
            failed = subprocess.run(script, stdout=stream, stderr=stream).returncode
        return f"{name}, seed {seed}: its scoring failed, see {log}" if failed else ""
    finally:
        cores.put(core)


def score(run: Path) -> None:
    """Write down the mIoU on ``val`` of what a search found."""
    import torch

    from hwnas.cli.job import FINALIST
    from hwnas.cli.stages.data import open_validation_data
    from hwnas.compiler.network import compile_graph
    from hwnas.data.base import open_dataset
    from hwnas.ir.serialize import load_genotype
    from hwnas.progress import Silent
    from hwnas.rundir import read_config
    from hwnas.skeletons.base import expand
    from hwnas.training.checkpoint import weights_in
    from hwnas.training.metrics import evaluate
    from hwnas.training.train import NETWORK

    torch.set_num_threads(1)
    config, chosen = read_config(run), json.loads((run / "chosen.json").read_text())
    dataset = open_dataset(config["data"])
    height, width = config["size_hw"]
    graph = expand(load_genotype(run / "genotype.json"), (3, height, width), len(dataset.classes))
    network = compile_graph(graph, seed=0)
    network.load_state_dict(weights_in(run / FINALIST, NETWORK))
    val = open_validation_data(dataset, (height, width), Silent())
    found = {name: chosen[name] for name in ("latency_ms", "measured_ms", "evaluations", "miou")}
    write_json(run / SCORED, {**found, "val_miou": evaluate(network, val, len(dataset.classes)).miou})


def report(folder: Path, names: list[str], seeds: int) -> None:
    """The table: every strategy's mIoU on ``val``, and random's spread."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        files = [folder / f"{name}-{seed}" / SCORED for seed in range(seeds)]
        found[name] = [json.loads(path.read_text()) for path in files if path.exists()]
    random = [each["val_miou"] for each in found.get("random", ())]
    if random:
        print(f"random: {min(random):.2%} to {max(random):.2%} over {len(random)} seeds")
    print(f"{'strategy':<12}{'best':>9}{'median':>9}{'worst':>9}{'candidates':>12}{'measured ms':>13}   against random")
    for name, each in found.items():
        if not each:
            print(f"{name:<12}   no run has ended")
            continue
        values = [one["val_miou"] for one in each]
        evaluated = np.median([one["evaluations"] for one in each])
        slowest = max(one["measured_ms"] for one in each)
        print(
            f"{name:<12}{max(values):>9.2%}{np.median(values):>9.2%}{min(values):>9.2%}{evaluated:>12.0f}{slowest:>13.2f}"
            f"   {_place(float(np.median(values)), random) if random and name != 'random' else ''}"
        )


def _place(median: float, random: list[float]) -> str:
    if median > max(random):
        return "above its best seed"
    if median < min(random):
        return "below its worst seed"
    return "within its spread"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", default=f"camvid:{os.environ.get('HWNAS_CAMVID', 'CamVid')}")
    parser.add_argument("--size", default="120x160")
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--budget", default="2ms")
    parser.add_argument("--minutes", type=float, default=4.0, help="of one run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="runs at once, each on a core of its own")
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--table", type=Path, help="a latency table; else one of this machine is measured")
    parser.add_argument("--profile-minutes", type=float, default=4.0)
    parser.add_argument("--score", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.score is not None:
        score(options.score)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    names = options.strategies.split(",")
    table = make_table(options)
    usable = usable_cores()
    cores: Queue[int] = Queue()
    for index in range(options.jobs):
        cores.put(usable[index % len(usable)])
    tasks = [(name, seed) for seed in range(options.seeds) for name in names]  # a seed of every strategy first
    with ThreadPoolExecutor(options.jobs) as pool:
        for problem in pool.map(lambda task: run_one(*task, options, table, cores), tasks):
            if problem:
                print(problem, flush=True)
    report(options.folder, names, options.seeds)


if __name__ == "__main__":
    main()
