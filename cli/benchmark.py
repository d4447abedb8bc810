"""``hwnas benchmark``: how long exported engines take on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.options import ThreadsOption
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb
from hwnas.errors import HwnasError


@verb(example="hwnas benchmark runs/camvid --scope end-to-end --seconds 10")
def command(
    shell: Shell,
    artifacts: Annotated[
        list[Path],
        typer.Argument(metavar="ARTIFACT…", help="Folders of exported engines, their files, or run directories."),
    ],
    threads: ThreadsOption = 1,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="How long to measure each.")] = 5.0,
    scope: Annotated[
        str, typer.Option("--scope", help="What is timed: engine, copies, end-to-end (decoded pixels to labels).")
    ] = "engine",
    streams: Annotated[
        int, typer.Option("--streams", min=1, help="Also the throughput of so many sessions at once.")
    ] = 1,
    every: Annotated[
        bool, typer.Option("--all", help="One table over every artifact in and below the folders given.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare two by what was measured of them (artifacts or --json files).")
    ] = False,
    record: Annotated[bool, typer.Option("--record", help="Keep the latency in the artifact's manifest.")] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="With a table: mIoU against latency, SVG or PNG.")
    ] = None,
) -> Answer:
    """Measure engines' latency: p50, p90, p99 and frames per second, with the timing contract.

    Several artifacts, a folder of some, or --all give one table, the fastest first.
    """
    from hwnas.cli import timing
    from hwnas.exporters.scopes import check_scope

    check_scope(scope)
    if compare:
        timing_options = ("threads", "seconds", "scope", "streams", "every", "record", "plot")
        shell.refuse(*timing_options, why="--compare times nothing", hint="time the two before, each by itself")
        if len(artifacts) != 2:
            raise HwnasError(f"--compare takes two artifacts, not {len(artifacts)}", "give two")
        return timing.compare_two(*artifacts)
    if every or len(artifacts) > 1 or plot is not None or timing.is_collection(artifacts[0]):
        shell.refuse("streams", "record", why="a table only times", hint="benchmark each artifact by itself")
        return timing.time_many(shell, artifacts, scope=scope, threads=threads, seconds=seconds, plot=plot)
    return timing.time_one(
        shell, artifacts[0], scope=scope, streams=streams, threads=threads, seconds=seconds, record=record
    )
