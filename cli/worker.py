"""``hwnas worker``: evaluate candidates of a search that another machine leads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.output import Answer
from hwnas.cli.studies import StudyOption
from hwnas.cli.verb import Shell, verb


@verb(example="hwnas worker --storage postgresql://hwnas@db/hwnas --files copies")
def command(
    shell: Shell,
    storage: Annotated[
        str, typer.Option("--storage", metavar="URL", help="Where the study is: postgresql://…, or a journal file.")
    ],
    study: StudyOption = None,
    files: Annotated[
        Path | None,
        typer.Option("--files", metavar="DIR", help="Copies of the search's files; else its run directory is here."),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="SPEC", help="Where the same data set lies on this machine.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0.01, help="End after so long; else with the search.")
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Threads; else all cores are used.")] = None,
) -> Answer:
    """Evaluate candidates of a running search, with which only its storage is shared.

    For batch systems: start as many as you like, when you like. They end with the search.
    """
    from hwnas.cli import working

    return working.work(shell, storage=storage, study=study, files=files, data=data, minutes=minutes, threads=threads)
