"""What the verb ``export`` does: a network found, put into its precision, exported and compared with PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.cli import results
from hwnas.cli.output import Answer
from hwnas.cli.stages import exporting, quantizing
from hwnas.errors import HwnasError
from hwnas.exporters.artifact import root_of
from hwnas.exporters.ends import MOST_LABELS
from hwnas.skeletons.base import expand
from hwnas.training.network_files import load_network

if TYPE_CHECKING:
    from hwnas.cli.verb import Shell
    from hwnas.compiler.network import Network as Module
    from hwnas.data.base import ClassInfo
    from hwnas.zoo.resolve import Network


@dataclass(frozen=True)
class Order:
    """What ``hwnas export`` is asked for beside the network."""

    engine: str
    precision: str
    preprocess: bool
    batch: int | None
    """None: any number of images."""
    data: str | None
    """Where to calibrate, to judge int8 and to compare with PyTorch; noise is compared on without it."""
    int8: quantizing.Int8Options
    runner: str | None
    targets: tuple[str, ...] = ()
    argmax: bool = False
    """Only the engine that gives labels."""


def export(
    shell: Shell,
    network: Network,
    *,
    size_hw: tuple[int, int] | None,
    classes: int | None,
    weights: Path | None,
    output: Path,
    order: Order,
) -> Answer:
    """Both artifacts of a network, trained (``weights``, or a run's own) or with random weights."""
    from hwnas.exporters.runner import write_runner

    quantizing.check_options(order.engine, order.precision, order.int8, order.data, order.targets)
    module, infos = _module(network, size_hw, classes, weights, shell.seed)
    prepared, images = _prepared(module, order, shell)
    exported = exporting.export_both(
        module,
        network.genotype,
        output,
        classes=infos,
        images=images,
        trained=weights is not None,
        threads=1,
        progress=shell.progress,
        kinds=_kinds(module, order),
        form=exporting.Form(
            prepared.model,
            order.engine,
            order.precision,
            order.preprocess,
            order.batch,
            prepared.quantization,
            order.targets,
        ),
    )
    document = {**exporting.export_document(exported), "quantization": prepared.to_dict(), "runner": []}
    if order.runner is not None:
        folders = [root_of(artifact) for artifact in exported.artifacts.values()]
        document["runner"] = [str(path) for folder in folders for path in write_runner(order.runner, folder)]
    return Answer(document, lambda console: results.print_export(console, document))


def _kinds(module: Module, order: Order) -> tuple[str, ...]:
    """The artifacts to make. Of more classes than a byte tells apart there are no labels."""
    if order.argmax:
        return (exporting.LABELS,)
    few = module.graph.shape(module.graph.output)[0] <= MOST_LABELS
    return (exporting.LOGITS, exporting.LABELS) if few else (exporting.LOGITS,)


def _prepared(module: Module, order: Order, shell: Shell) -> tuple[quantizing.Prepared, np.ndarray]:
    """The network in its precision, and images uint8 (N, H, W, 3), real or noise, to compare it with PyTorch on."""
    data = None
    height, width = module.graph.shape(module.graph.input)[1:]
    images = np.random.default_rng(shell.seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    if order.data is not None:
        data = quantizing.open_calibration_data(order.data, module, shell.progress)
        images = np.ascontiguousarray(data.arrays.images[data.held[:4]])
    prepared = quantizing.prepare(
        module,
        engine=order.engine,
        precision=order.precision,
        data=data,
        int8=order.int8,
        threads=1,
        progress=shell.progress,
    )
    return prepared, images


def _module(
    network: Network, size_hw: tuple[int, int] | None, classes: int | None, weights: Path | None, seed: int
) -> tuple[Module, Sequence[ClassInfo]]:
    """The network to export in evaluation mode, with its weights and classes, or with random weights and none."""
    from hwnas.cli.options import DEFAULT_CLASSES
    from hwnas.compiler.network import compile_graph
    from hwnas.exporters.untrained import randomise
    from hwnas.ir.passes.without_auxiliary import without_auxiliary

    if weights is not None:
        module, infos = load_network(network.genotype, weights)
        trained_hw = module.graph.shape(module.graph.input)[1:]
        if size_hw is not None and size_hw != trained_hw:
            raise HwnasError(
                f"the weights were trained for {trained_hw[0]}x{trained_hw[1]}",
                "leave --size out, or train at that size",
            )
        known = module.graph.shape(module.graph.output)[0]
        if classes is not None and classes != known:
            raise HwnasError(f"the weights know {known} classes, not {classes}", "leave --classes out")
        return module.eval(), infos
    size_hw = size_hw or network.size_hw
    if size_hw is None:
        raise HwnasError("an untrained network needs a size", "give --size HxW")
    graph = expand(network.genotype, (3, *size_hw), classes or network.classes or DEFAULT_CLASSES)
    module = compile_graph(without_auxiliary(graph), seed=seed)
    randomise(module, seed)
    return module.eval(), ()
