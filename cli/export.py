"""``hwnas export``: a network as an engine file with its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.export_options import ExportOptions
from hwnas.cli.network_options import NetworkOptions
from hwnas.cli.options import GenotypeArgument, KnownClassesOption
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb
from hwnas.errors import HwnasError


@verb(example="hwnas export fast-scnn --size 360x480 --classes 11 --random-weights -o engine")
def command(
    shell: Shell,
    genotype: GenotypeArgument,
    network: NetworkOptions,
    form: ExportOptions,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the engine files.")],
    size: Annotated[
        str | None, typer.Option("--size", metavar="HxW", help="Input height x width; else that of the weights.")
    ] = None,
    classes: KnownClassesOption = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="The trained weights (safetensors).")
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Export untrained, for timing; --seed draws the weights.")
    ] = False,
) -> Answer:
    """Export a network for an engine: full-size logits and an argmax variant, checked against PyTorch."""
    from hwnas.cli import exports
    from hwnas.shapes import parse_size

    weights = _weights(genotype, weights, random_weights)
    size_hw = parse_size(size) if size is not None else None
    found, order = network.resolve(genotype), form.order()
    return exports.export(shell, found, size_hw=size_hw, classes=classes, weights=weights, output=output, order=order)


def _weights(genotype: str, given: Path | None, random: bool) -> Path | None:
    """The weights' file: the one given, or a run directory's own; None for random ones."""
    from hwnas.training.network_files import WEIGHTS

    if given is not None and random:
        raise HwnasError("--weights and --random-weights exclude each other", "give one of them")
    beside = Path(genotype) / WEIGHTS
    found = beside if given is None and not random and beside.is_file() else given
    if found is None and not random:
        raise HwnasError("export needs weights", "give --weights FILE, or a run directory, or --random-weights")
    return found
