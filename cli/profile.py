"""``hwnas profile``: time the ops of a search space on this machine and write a latency table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.options import (
    DEFAULT_CLASSES,
    ClassesOption,
    MinutesOption,
    SpaceOption,
    ThreadsOption,
)
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb
from hwnas.errors import HwnasError


@verb(example="hwnas profile --size 360x480 --classes 11 --minutes 3 -o table.json")
def command(
    shell: Shell,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The latency table to write.")],
    size: Annotated[str | None, typer.Option("--size", metavar="HxW", help="Input height x width in pixels.")] = None,
    classes: ClassesOption = DEFAULT_CLASSES,
    space: SpaceOption = "realtime",
    threads: ThreadsOption = 1,
    minutes: MinutesOption = 5.0,
    missing: Annotated[
        bool, typer.Option("--missing", help="Time only what the table in --output lacks of the space.")
    ] = False,
    genotype: Annotated[
        str | None, typer.Option("--genotype", metavar="GENOTYPE", help="With --missing: of this network instead.")
    ] = None,
) -> Answer:
    """Time every op that a search space can need, calibrate on whole nets, and write a latency table."""
    from hwnas.cli import pipeline
    from hwnas.shapes import parse_size

    if missing:
        return pipeline.profile_missing(shell, space=space, genotype=genotype, minutes=minutes, output=output)
    if size is None:
        raise HwnasError("a new table needs an input size", "give --size HxW, like --size 360x480")
    return pipeline.profile(
        shell,
        space=space,
        size_hw=parse_size(size),
        classes=classes,
        threads=threads,
        minutes=minutes,
        output=output,
    )
