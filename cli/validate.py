"""``hwnas validate``: does an exported engine keep its budget and its deadlines, and is it as accurate as PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.criteria_options import CriteriaOptions
from hwnas.cli.options import DataOption, ForceOption, ThreadsOption
from hwnas.cli.output import Answer
from hwnas.cli.recipes import FlipOption, ScalesOption, views_of
from hwnas.cli.verb import Shell, verb


@verb(example="hwnas validate runs/camvid --data camvid:CamVid --budget 10ms --fps 30")
def command(
    shell: Shell,
    artifact: Annotated[
        Path, typer.Argument(metavar="ARTIFACT", help="Folder of an exported engine, or a run directory.")
    ],
    data: DataOption,
    limits: CriteriaOptions,
    video: Annotated[
        Path | None, typer.Option("--video", metavar="FILE", help="Frames of the deadline run; else those of --data.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Frames of the deadline run: a folder of images.")
    ] = None,
    threads: ThreadsOption = 1,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            metavar="DIR",
            help="The run that it was exported from, for PyTorch's mIoU; else the one around it.",
        ),
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--table", metavar="FILE", help="Latency table that predicts; else the run's own.")
    ] = None,
    force: ForceOption = False,
    eval_scales: ScalesOption = None,
    eval_flip: FlipOption = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the verdict as JUnit XML for a CI server.")
    ] = None,
) -> Answer:
    """Judge an exported engine: its mIoU next to PyTorch's, its latency next to the budget, its deadlines at a rate.

    Ends with exit code 1 if the verdict is FAIL.
    """
    from hwnas.cli import judging

    return judging.validate(
        shell,
        artifact=artifact,
        data=data,
        criteria=limits.criteria(),
        reference=judging.ReferenceOrder(run, table, needed=limits.max_miou_drop is not None, force=force),
        threads=threads,
        video=video,
        images=images,
        junit=junit,
        views=views_of(eval_scales, eval_flip),
    )
