"""``hwnas validate``: does an exported engine keep its budget and its deadlines, and is it as accurate as PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.options import BudgetAtOption, DataOption, Percentile, ThreadsOption, parse_budget_ms, parse_share
from hwnas.cli.output import Answer
from hwnas.cli.recipes import FlipOption, ScalesOption, views_of
from hwnas.cli.verb import Shell, verb
from hwnas.errors import HwnasError


@verb(example="hwnas validate runs/camvid --data camvid:CamVid --budget 10ms --fps 30")
def command(
    shell: Shell,
    artifact: Annotated[
        Path, typer.Argument(metavar="ARTIFACT", help="Folder of an exported engine, or a run directory.")
    ],
    data: DataOption,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="LATENCY", help="Latency of one image: 10ms, 0.01s or 100fps.")
    ] = None,
    budget_at: BudgetAtOption = Percentile.p50,
    max_p99: Annotated[
        str | None,
        typer.Option("--max-p99", metavar="LATENCY", help="Limit of p99, from arrival to result with --fps."),
    ] = None,
    max_miou_drop: Annotated[
        float, typer.Option("--max-miou-drop", min=0.0, help="Points of mIoU that the engine may be below PyTorch.")
    ] = 0.1,
    fps: Annotated[
        float | None, typer.Option("--fps", metavar="RATE", help="Frames arrive at this rate, as from a camera.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="How long frames arrive.")] = 20.0,
    max_missed: Annotated[
        str, typer.Option("--max-missed", metavar="SHARE", help="Deadlines that may be missed, like 0.1%.")
    ] = "0.1%",
    video: Annotated[
        Path | None, typer.Option("--video", metavar="FILE", help="Frames of the deadline run; else those of --data.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Frames of the deadline run: a folder of images.")
    ] = None,
    threads: ThreadsOption = 1,
    table: Annotated[
        Path | None, typer.Option("--table", metavar="FILE", help="Latency table that predicts; else the run's own.")
    ] = None,
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
    from hwnas.exporters.criteria import Criteria

    if budget is None and max_p99 is None and fps is None:
        raise HwnasError("there is nothing to judge the latency by", "give --budget 10ms, --max-p99 15ms or --fps 30")
    return judging.validate(
        shell,
        artifact=artifact,
        data=data,
        criteria=Criteria(
            budget_ms=None if budget is None else parse_budget_ms(budget),
            budget_at=budget_at.value,
            max_p99_ms=None if max_p99 is None else parse_budget_ms(max_p99),
            max_miou_gap=max_miou_drop / 100,
            fps=fps,
            deadline_s=seconds,
            max_missed=parse_share(max_missed),
        ),
        threads=threads,
        table=table,
        video=video,
        images=images,
        junit=junit,
        views=views_of(eval_scales, eval_flip),
    )
