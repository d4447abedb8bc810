"""``hwnas profile``: latency tables. Alone it makes the table of a space on this machine; its verbs do the parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.options import (
    DEFAULT_CLASSES,
    BatchOption,
    EngineOption,
    MinutesOption,
    PinOption,
    PrecisionOption,
    SpaceOption,
    ThreadsOption,
    parse_pin,
)
from hwnas.cli.output import Answer
from hwnas.cli.profiling import checking, importing, listing, measuring, planning
from hwnas.cli.verb import Shell, add_verb, new_group_with_default, verb
from hwnas.errors import HwnasError


@verb(example="hwnas profile --size 360x480 --classes 11 --minutes 3 -o table.json")
def profile_here(
    shell: Shell,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The latency table to write.")
    ] = None,
    size: Annotated[str | None, typer.Option("--size", metavar="HxW", help="Input height x width in pixels.")] = None,
    classes: Annotated[
        int | None,
        typer.Option(
            "--classes", min=2, help=f"Number of classes; else {DEFAULT_CLASSES}, with --missing the table's."
        ),
    ] = None,
    space: SpaceOption = "realtime",
    engine: EngineOption = "onnxruntime",
    precision: PrecisionOption = "fp32",
    threads: ThreadsOption = 1,
    batch: BatchOption = 1,
    pin: PinOption = None,
    minutes: MinutesOption = 5.0,
    missing: Annotated[
        bool, typer.Option("--missing", help="Time only what the table in --output lacks of the space.")
    ] = False,
    genotype: Annotated[
        str | None, typer.Option("--genotype", metavar="GENOTYPE", help="With --missing: of this network instead.")
    ] = None,
) -> Answer:
    """Time every op that a search space can need, calibrate on whole nets, and write a latency table."""
    if output is None:
        raise HwnasError("the latency table needs a file", "give -o FILE, or a verb: hwnas profile --help lists them")

    from hwnas.cli import pipeline
    from hwnas.latency.measure import Setting
    from hwnas.shapes import parse_size

    if missing:
        setting = ("size", "engine", "precision", "threads", "batch", "pin")
        shell.refuse(*setting, why="with --missing the table in --output says it", hint="leave it out")
        if genotype is not None:
            shell.refuse("space", why="--genotype stands for it", hint="give one of them")
        return pipeline.profile_missing(
            shell, space=space, genotype=genotype, classes=classes, minutes=minutes, output=output
        )
    shell.refuse("genotype", why="a new table is of a space", hint="with --missing it adds a network's kernels to one")
    if size is None:
        raise HwnasError("a new table needs an input size", "give --size HxW, like --size 360x480")
    return pipeline.profile(
        shell,
        space=space,
        size_hw=parse_size(size),
        classes=classes or DEFAULT_CLASSES,
        setting=Setting(engine, precision, threads, batch),
        pin=parse_pin(pin),
        minutes=minutes,
        output=output,
    )


app = new_group_with_default(
    profile_here,
    help_text="Time every op that a search space can need, calibrate on whole nets, and write a latency table. The "
    "verbs below do it in parts, for other devices too, and look after tables.",
)
add_verb(app, "plan", planning.command)
add_verb(app, "measure", measuring.command)
add_verb(app, "check", checking.command)
add_verb(app, "import", importing.command)
add_verb(app, "list", listing.command)
