"""``hwnas train``: train one network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.options import DataOption, GenotypeArgument, MinutesOption, ResumeOption, RunOption, SizeOption
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb


@verb(
    example="hwnas train runs/b/genotype.json --data streets --size 180x240 --run runs/c",
    resumable=True,
)
def command(
    shell: Shell,
    genotype: GenotypeArgument,
    data: DataOption,
    size: SizeOption,
    run: RunOption,
    minutes: MinutesOption = 10.0,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="Start from these weights (safetensors).")
    ] = None,
    resume: ResumeOption = False,
) -> Answer:
    """Train a network and write genotype.json and weights.safetensors."""
    from hwnas.cli import pipeline
    from hwnas.shapes import parse_size

    return pipeline.train_one(
        shell,
        genotype=genotype,
        data=data,
        size_hw=parse_size(size),
        minutes=minutes,
        run=run,
        weights=weights,
        resume=resume,
    )
