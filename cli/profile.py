"""``hwnas profile``: time the ops of a search space on this machine and write a latency table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.options import (
    DEFAULT_CLASSES,
    ClassesOption,
    MinutesOption,
    SizeOption,
    SpaceOption,
    ThreadsOption,
)
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb


@verb(example="hwnas profile --size 360x480 --classes 11 --minutes 3 -o table.json")
def command(
    shell: Shell,
    size: SizeOption,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The latency table to write.")],
    classes: ClassesOption = DEFAULT_CLASSES,
    space: SpaceOption = "realtime",
    threads: ThreadsOption = 1,
    minutes: MinutesOption = 5.0,
) -> Answer:
    """Time every op that a search space can need, calibrate on whole nets, and write a latency table."""
    from hwnas.cli import pipeline
    from hwnas.shapes import parse_size

    return pipeline.profile(
        shell,
        space=space,
        size_hw=parse_size(size),
        classes=classes,
        threads=threads,
        minutes=minutes,
        output=output,
    )
