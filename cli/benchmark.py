"""``hwnas benchmark``: how long an exported engine takes on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.options import ThreadsOption
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb


@verb(example="hwnas benchmark engine --threads 1 --seconds 10")
def command(
    shell: Shell,
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT", help="Folder of an exported engine, or its file.")],
    threads: ThreadsOption = 1,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="How long to measure.")] = 5.0,
) -> Answer:
    """Measure an engine's latency: p50, p90, p99 and frames per second, with the timing contract."""
    from hwnas.cli import pipeline

    return pipeline.time_one(shell, artifact=artifact, threads=threads, seconds=seconds)
