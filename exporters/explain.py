"""Where the time of an engine goes, by node of the op graph, and what a latency table says of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas.exporters.attribution import Attribution, attribute, origins_of_graph, origins_of_onnx
from hwnas.exporters.benchmark import time_blocks
from hwnas.exporters.engine import engine_named
from hwnas.exporters.profiler import PROFILERS, EngineProfile, Kernel
from hwnas.exporters.scopes import call_of
from hwnas.ops.spec import OPS

if TYPE_CHECKING:
    from pathlib import Path

    from hwnas.ir.cell import Cell
    from hwnas.ir.genotype import Genotype
    from hwnas.ir.opgraph import OpGraph
    from hwnas.latency.model import NodeLatency, Prediction
    from hwnas.progress import Progress
    from hwnas.shapes import Shape

WHOLE = "network"
"""The role of a cell that is a whole network."""

LEAST_QUIET = 10
"""With fewer samples that nothing interrupted, all count."""

OTHER = "other"
"""Family of what is no node of the op graph."""


@dataclass(frozen=True)
class NodeTime:
    """What one node takes inside the network. ``ms`` is the time of its own kernels."""

    name: str
    cell: str
    """The genotype's cell that it comes from; empty for the skeleton's own nodes."""
    genotype_node: str
    """Its name there."""
    op: str
    family: str
    shape: Shape | None
    """Of its output (C, H, W); None where there is no op graph."""
    ms: float
    converts_ms: float
    """How much of ``ms`` goes into converting layouts and precisions."""
    kernels: tuple[Kernel, ...]
    inside: str = ""
    """The node whose kernel was fused with this one, if it has no kernel of its own."""
    predicted_ms: float | None = None
    """By the table."""
    source: str = ""
    """Where the prediction is from: ``measured``, ``interpolated``, …"""

    @property
    def stage(self) -> str:
        """The part of the network: the first part of its name."""
        return self.name.split("/")[0]


@dataclass(frozen=True)
class Explanation:
    """Times of one run in ms. ``nodes`` are in execution order and add up, with ``unattributed`` and ``between_ms``, to
    ``profiled_ms``."""

    nodes: tuple[NodeTime, ...]
    unattributed: tuple[Kernel, ...]
    between_ms: float
    """Of the run, but of no kernel: the engine's own work, and the profiler's."""
    profiled_ms: float
    """A run under profiling."""
    p50_ms: float
    """Median of runs without profiling, by the wall clock, some before and some after it."""
    cpu_p50_ms: float
    """The same by the process's CPU time, which at one thread leaves out what other processes took."""
    runs: int
    predicted: Prediction | None = None

    @property
    def unattributed_ms(self) -> float:
        """Time of kernels that belong to no node."""
        return sum(kernel.ms for kernel in self.unattributed)

    @property
    def slowdown(self) -> float:
        """How much longer a run takes under profiling than without, relatively.

        Without is the smaller median: on a busy machine one thread's CPU time, on several threads the wall clock.
        """
        return self.profiled_ms / min(self.p50_ms, self.cpu_p50_ms) - 1.0

    def totals(self, key: Callable[[NodeTime], str]) -> dict[str, float]:
        """Time by whatever ``key`` says of a node (family, stage), the dearest first."""
        sums: dict[str, float] = {}
        for node in self.nodes:
            sums[key(node)] = sums.get(key(node), 0.0) + node.ms
        return dict(sorted(sums.items(), key=lambda item: -item[1]))


@dataclass(frozen=True)
class Timed:
    """An engine's profile, and the medians of runs without profiling before and after it: wall clock, CPU time."""

    profile: EngineProfile
    p50_ms: float
    cpu_p50_ms: float


def profile_engine(engine: str, path: Path, *, threads: int, seconds: float, progress: Progress | None = None) -> Timed:
    """Time an engine's file for a quarter of ``seconds``, profile it for half of them, and time it again."""
    profiler = PROFILERS.get(engine)
    with engine_named(engine).open(path, threads=threads) as session:
        run = call_of(session, "engine", np.random.default_rng(0))
        blocks = time_blocks(run, seconds=seconds / 4, progress=progress)
        profile = profiler.profile(path, threads=threads, seconds=seconds / 2)
        blocks += time_blocks(run, seconds=seconds / 4, progress=progress)
    quiet = np.concatenate([~block.disturbed for block in blocks])
    kept = quiet if np.count_nonzero(quiet) >= LEAST_QUIET else np.ones_like(quiet)
    wall, cpu = (np.concatenate([getattr(block, clock) for block in blocks]) for clock in ("wall_ms", "cpu_ms"))
    return Timed(profile, float(np.median(wall[kept])), float(np.median(cpu[kept])))


def explain(
    timed: Timed,
    *,
    onnx_path: Path | None,
    graph: OpGraph | None = None,
    genotype: Genotype | None = None,
    predicted: Prediction | None = None,
) -> Explanation:
    """Put a profile's kernels under the nodes of ``graph``, or without one under those that the ONNX file names.

    Without ``onnx_path`` the engine runs the graph's nodes themselves.
    """
    if onnx_path is None:
        assert graph is not None
        origins = origins_of_graph(graph)
    else:
        from onnx import load

        origins = origins_of_onnx(load(onnx_path))
    found = attribute(timed.profile.kernels, origins)
    prices = {node.name: node for node in predicted.nodes} if predicted else {}
    known = set(graph.order) if graph is not None else set()
    names = [*(graph.order if graph is not None else ()), *(name for name in origins.kinds if name not in known)]
    nodes = tuple(
        _node(
            name,
            "+".join(dict.fromkeys(origins.kinds.get(name, ()))),
            found,
            graph if name in known else None,
            genotype,
            prices.get(name),
        )
        for name in names
    )
    profile = timed.profile
    return Explanation(
        nodes,
        found.unattributed,
        between_ms=profile.run_ms - profile.kernels_ms,
        profiled_ms=profile.run_ms,
        p50_ms=timed.p50_ms,
        cpu_p50_ms=timed.cpu_p50_ms,
        runs=profile.runs,
        predicted=predicted,
    )


def _node(
    name: str,
    operations: str,
    found: Attribution,
    graph: OpGraph | None,
    genotype: Genotype | None,
    price: NodeLatency | None,
) -> NodeTime:
    op = graph.node(name).op if graph is not None else operations
    cell, genotype_node = place_in_genotype(name, genotype) if genotype is not None else ("", "")
    kernels = found.kernels.get(name, ())
    return NodeTime(
        name=name,
        cell=cell,
        genotype_node=genotype_node,
        op=op,
        family=OPS.get(op).family if graph is not None else OTHER,
        shape=graph.shape(name) if graph is not None else None,
        ms=sum(kernel.ms for kernel in kernels),
        converts_ms=sum(kernel.ms for kernel in kernels if kernel.converts),
        kernels=kernels,
        inside=found.inside.get(name, ""),
        predicted_ms=price.latency_ms if price is not None else None,
        source=price.source if price is not None else "",
    )


def place_in_genotype(name: str, genotype: Genotype) -> tuple[str, str]:
    """(cell, node in it) of an op graph's node; the cell is ``""`` for nodes that the skeleton adds.

    A skeleton places a cell's nodes under a prefix that holds the cell's role (``stage2/block1``, ``cell3/normal/a``),
    and those of a cell :data:`WHOLE` under none. A resize that it puts before a node's input belongs to that node.
    """
    parts = name.split("/")
    for role, cell in genotype.cells.items():
        steps = role.split("/")
        ends = [start + len(steps) for start in range(len(parts)) if parts[start : start + len(steps)] == steps]
        for end in [*ends, *([0] if role == WHOLE else [])]:
            owner = _owner(parts[end:], cell)
            if owner:
                return role, owner
    return "", ""


def _owner(parts: Sequence[str], cell: Cell) -> str:
    """The longest beginning of ``parts`` that is a node of the cell."""
    nodes = {node.name for node in cell.nodes}
    beginnings = ("/".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((name for name in beginnings if name in nodes), "")


def node_times(explanation: Explanation) -> dict[str, float]:
    """Node of the op graph → its time in ms, for nodes with a kernel of their own."""
    return {node.name: node.ms for node in explanation.nodes if node.kernels and node.shape is not None}


def cell_times(explanation: Explanation, role: str) -> dict[str, float]:
    """Node of a cell → its time in all places where the network has that cell, in ms."""
    sums: dict[str, float] = {}
    for node in explanation.nodes:
        if node.cell == role and node.kernels:
            sums[node.genotype_node] = sums.get(node.genotype_node, 0.0) + node.ms
    return sums
