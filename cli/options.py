"""Arguments and options that several verbs take, each written once, and how their texts are read."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.errors import BudgetError, HwnasError

if TYPE_CHECKING:
    from hwnas.cli.network_options import NetworkOptions
    from hwnas.ir.genotype import Genotype
    from hwnas.ir.opgraph import OpGraph

DEFAULT_SIZE = "512x1024"
DEFAULT_CLASSES = 19

GenotypeArgument = Annotated[
    str, typer.Argument(metavar="GENOTYPE", help="A genotype file, a run directory, or a name of the zoo.")
]
KnownSizeOption = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="HxW",
        help=f"Input height x width in pixels; else what the network was published for, or {DEFAULT_SIZE}.",
    ),
]
KnownClassesOption = Annotated[
    int | None,
    typer.Option(
        "--classes",
        min=2,
        help=f"Number of classes; else what the network was published for, or {DEFAULT_CLASSES}.",
    ),
]
SizeOption = Annotated[str, typer.Option("--size", metavar="HxW", help="Input height x width in pixels.")]
ClassesOption = Annotated[int, typer.Option("--classes", min=2, help="Number of classes.")]
DataOption = Annotated[
    str,
    typer.Option("--data", metavar="SPEC", help="Data set: streets, camvid:DIR, cityscapes:DIR, voc:DIR, folder:DIR …"),
]
EngineOption = Annotated[
    str, typer.Option("--engine", metavar="NAME", help="The engine: onnxruntime, openvino, … (`hwnas doctor`).")
]
PrecisionOption = Annotated[
    str, typer.Option("--precision", metavar="NAME", help="fp32, fp16, bf16 or int8, as far as the engine has it.")
]
BatchOption = Annotated[int, typer.Option("--batch", min=1, help="Images at a time.")]
PinOption = Annotated[
    str | None, typer.Option("--pin", metavar="CORES", help="Cores to measure on, like 0,1; else any.")
]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="Threads of the engine.")]
TableOption = Annotated[
    Path, typer.Option("--table", metavar="TABLE", help="A latency table: a file, or a name of `hwnas profile list`.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Use the latency table although it is of another setting than this one.")
]
StrategyOption = Annotated[
    str | None,
    typer.Option(
        "--strategy",
        metavar="NAME",
        help="evolution, random, tpe, nsga2, rl, halving, …; options follow: NAME:option=value,other=value",
    ),
]
TablesOption = Annotated[
    list[str],
    typer.Option(
        "--table",
        metavar="[NAME=]TABLE",
        help="A latency table: a file, or a name of `hwnas profile list`; again, for each further device or engine.",
    ),
]
ObjectiveOption = Annotated[
    str,
    typer.Option(
        "--objective",
        metavar="WHAT",
        help="miou, or miou_int8 of quantized candidates; several for a Pareto front: miou,latency_ms,params; or "
        "mnasnet-soft, mnasnet-hard, hinge, lagrangian, with targets: hinge:latency_ms=8.",
    ),
]
LimitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="COST=NUMBER",
        help="At most this of a cost: params=1.5M, macs=2G, latency_ms@NAME=8, …; at least this of miou, miou_int8.",
    ),
]
SamplerOption = Annotated[
    str | None,
    typer.Option(
        "--sampler", metavar="NAME", help="Which paths the supernet is trained on: uniform, greedynas, pcnas."
    ),
]
SpaceOption = Annotated[str, typer.Option("--space", metavar="NAME", help="The search space.")]
NetworkOption = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="GENOTYPE",
        help="Instead of a space one network (a file, a run, a name of the zoo), whose recipe is searched: --vary.",
    ),
]
VaryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--vary",
        metavar="FIELD[=A,B,…]",
        help="Search this field of the recipe, too: lr=0.003,0.01; or lr, loss, scale, … with usual options; usual: "
        "several of those. As often as needed.",
    ),
]
EvaluationsOption = Annotated[
    int | None, typer.Option("--evaluations", metavar="N", help="End the search after so many candidates.")
]
SearchedSpaceOption = Annotated[
    str | None, typer.Option("--space", metavar="NAME", help="The search space; else realtime, or the method's.")
]
MethodOption = Annotated[
    str | None,
    typer.Option(
        "--method",
        metavar="NAME",
        help="A published system, its space and its way of searching: darts, auto-deeplab, cas, gas, proxyless … "
        "(`hwnas methods`), perhaps with options, as cas:costs=macs=0.2.",
    ),
]
BudgetOption = Annotated[
    str, typer.Option("--budget", metavar="LATENCY", help="Latency of one image: 10ms, 0.01s or 100fps.")
]


class ClockName(StrEnum):
    """By what minutes are counted (:data:`hwnas.clock.CLOCKS`)."""

    wall = "wall"
    cpu = "cpu"


ClockOption = Annotated[
    ClockName,
    typer.Option("--clock", help="What minutes are counted by; cpu: the time that all threads here were given."),
]
MinutesOption = Annotated[float, typer.Option("--minutes", min=0.1, help="Bounds the whole command.")]
RunOption = Annotated[Path, typer.Option("--run", metavar="DIR", help="Run directory: everything is written there.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped or killed.")]


WORKERS_PANEL = "Many workers"
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Evaluate so many candidates at once; on a cluster, else as many as it has room for.",
        rich_help_panel=WORKERS_PANEL,
    ),
]
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray", metavar="ADDRESS", help="The Ray cluster with the workers: HOST:6379.", rich_help_panel=WORKERS_PANEL
    ),
]
WorkerCpusOption = Annotated[
    int | None,
    typer.Option(
        "--worker-cpus",
        min=1,
        help="Cores of each worker; else this machine's are shared out, and one on a cluster.",
        rich_help_panel=WORKERS_PANEL,
    ),
]
WorkerGpusOption = Annotated[
    float,
    typer.Option(
        "--worker-gpus",
        min=0.0,
        help="GPUs of each worker, or a part of one: where candidates are trained (--evaluator training or proxy).",
        rich_help_panel=WORKERS_PANEL,
    ),
]


class Percentile(StrEnum):
    """Which percentile of the measured latency a budget binds."""

    p50 = "p50"
    p90 = "p90"
    p99 = "p99"


ConfidenceOption = Annotated[
    float | None,
    typer.Option(
        "--confidence",
        metavar="SHARE",
        help="Search on the upper end of this interval of the prediction, like 0.9; else on the prediction.",
    ),
]
BudgetAtOption = Annotated[Percentile, typer.Option("--budget-at", help="The percentile that the budget binds.")]


def parse_budget_ms(text: str, option: str = "--budget") -> float:
    """``"10ms"``, ``"10"``, ``"0.01s"`` or ``"100fps"`` → 10.0; a budget that is not positive is a BudgetError that
    names the ``option`` it was given with."""
    match = re.fullmatch(r"\s*([-+.\deE]+?)\s*(ms|s|fps)?\s*", text, re.IGNORECASE)
    try:
        number = float(match[1]) if match else math.nan
    except ValueError:
        number = math.nan
    if not match or not math.isfinite(number):
        raise BudgetError(f"{option} {text!r} is not a latency", f"write it like {option} 10ms or {option} 100fps")
    if number <= 0:
        raise BudgetError(f"{option} {text} is not positive", "give the milliseconds an image may take")
    unit = (match[2] or "ms").lower()
    return {"ms": number, "s": number * 1e3, "fps": 1e3 / number}[unit]


def parse_pin(text: str | None) -> tuple[int, ...]:
    """``"0,1"`` → (0, 1); None → (), which is any core. A core that this process cannot use is a HwnasError."""
    if text is None:
        return ()
    try:
        cores = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise HwnasError(f"--pin {text!r} does not name cores", "write it like --pin 0,1") from None
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if missing := [core for core in cores if core not in usable]:
        here = ", ".join(map(str, sorted(usable))) or "none: this system cannot pin"
        raise HwnasError(f"core {missing[0]} cannot be used here", f"there are: {here}")
    return tuple(cores)


UNITS = {"k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def parse_limits(texts: Sequence[str]) -> dict[str, float]:
    """``["macs=2e9", "params=1.5M"]`` → upper limits by cost; what is no positive number is a BudgetError, and so are
    two limits on one cost.

    ``k``, ``M`` and ``G`` are powers of 1000, ``Ki``, ``Mi`` and ``Gi`` of 1024; ``ms`` and ``B`` may follow.
    """
    limits: dict[str, float] = {}
    for text in texts:
        name, _, number = text.partition("=")
        match = re.fullmatch(r"\s*([-+.\deE]+?)\s*([kMG]i?)?\s*(ms|B)?\s*", number)
        try:
            value = float(match[1]) * (UNITS[match[2]] if match[2] else 1) if match else math.nan
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value <= 0:
            raise BudgetError(f"the limit {text!r} is no cost with a positive number", "write it like --limit macs=2e9")
        if name.strip() in limits:
            raise BudgetError(f"{name.strip()} is limited twice", "give each cost one --limit")
        limits[name.strip()] = value
    return limits


def parse_share(text: str, option: str, *, most: float = math.inf) -> float:
    """``"10%"`` or ``"0.1"`` → 0.1; what is no share from 0% to ``most`` is a HwnasError that names the ``option``."""
    try:
        number = float(text.strip().removesuffix("%"))
    except ValueError:
        number = math.nan
    share = number / 100 if text.strip().endswith("%") else number
    if not math.isfinite(share) or share < 0:
        raise HwnasError(f"{option} {text!r} is not a share", f"write it like {option} 10%")
    if share > most:
        raise HwnasError(f"{option} {text} is {share:.0%}, and {most:.0%} is all", f"write it like {option} 10%")
    return share


def graph_of(
    genotype: str, size: str | None, classes: int | None, network: NetworkOptions | None = None
) -> tuple[Genotype, OpGraph]:
    """The genotype that a file or zoo name stands for, and its op graph for images of ``size``.

    Where ``size`` or ``classes`` are None they are those that the network was published for, else the defaults. Heads
    that only training needs are left out unless ``network`` asks for them.
    """
    from hwnas.cli.network_options import NetworkOptions
    from hwnas.ir.passes.without_auxiliary import without_auxiliary
    from hwnas.shapes import parse_size
    from hwnas.skeletons.base import expand

    network = network or NetworkOptions()
    size_hw = parse_size(size) if size else None
    found = network.resolve(genotype)
    size_hw = size_hw or found.size_hw or parse_size(DEFAULT_SIZE)
    graph = expand(found.genotype, (3, *size_hw), classes or found.classes or DEFAULT_CLASSES)
    return found.genotype, graph if network.auxiliary else without_auxiliary(graph)


def input_of(graph: OpGraph) -> tuple[str, int]:
    """(size, classes) that an op graph was made for, as a verb's answer says them."""
    _, height, width = graph.shape(graph.input)
    return f"{height}x{width}", graph.shape(graph.output)[0]
