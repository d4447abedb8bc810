"""``hwnas export``: a network as an engine file with its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.options import DEFAULT_CLASSES, ClassesOption, GenotypeArgument, SizeOption
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb
from hwnas.errors import HwnasError


@verb(example="hwnas export fast-scnn --size 360x480 --classes 11 --random-weights -o engine")
def command(
    shell: Shell,
    genotype: GenotypeArgument,
    size: SizeOption,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the engine files.")],
    classes: ClassesOption = DEFAULT_CLASSES,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="The trained weights (safetensors).")
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Export untrained, for timing; --seed draws the weights.")
    ] = False,
) -> Answer:
    """Export a network to ONNX: full-size logits and an argmax variant, checked against PyTorch."""
    from hwnas.cli import pipeline
    from hwnas.shapes import parse_size

    if (weights is None) == (not random_weights):
        raise HwnasError("export needs weights", "give either --weights FILE or --random-weights")
    return pipeline.export(
        shell, genotype=genotype, size_hw=parse_size(size), classes=classes, weights=weights, output=output
    )
