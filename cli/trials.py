"""``hwnas trials``: every candidate of a search, as a table or a file."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli.output import Answer
from hwnas.cli.studies import (
    RunArgument,
    StorageOption,
    StudyOption,
    as_csv,
    read,
    shown_values,
    study_document,
    write_parquet,
)
from hwnas.cli.verb import Shell, verb
from hwnas.errors import HwnasError

if TYPE_CHECKING:
    from rich.console import Console

    from hwnas.search.reading import StudyReading

MOST_SHOWN = 200
"""Rows of the table on a terminal; files and JSON have all."""


class Form(StrEnum):
    """How trials are given."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


@verb(example="hwnas trials runs/s --format csv -o trials.csv")
def command(
    shell: Shell,
    run: RunArgument = None,
    storage: StorageOption = None,
    study: StudyOption = None,
    form: Annotated[Form, typer.Option("--format", help="parquet needs -o and pyarrow.")] = Form.table,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write them there; else on standard output.")
    ] = None,
) -> Answer:
    """List the trials of a search: what was evaluated, what came of it, what it cost. Changes nothing."""
    if form is Form.parquet and output is None:
        raise HwnasError("a parquet file is not for standard output", "give it a name: -o trials.parquet")
    found = read(run, storage, study)
    document: dict[str, Any] = study_document(found)
    if output is not None:
        _write(found, form, output)
        document["output"] = str(output)
    else:
        document["trials"] = [trial.to_dict() for trial in found.trials]
    for fault in found.faults:
        shell.progress.say(f"WARNING {fault}")
    return Answer(document, lambda console: _print(console, found, form, output))


def _write(study: StudyReading, form: Form, path: Path) -> None:
    from hwnas.files import write_json, write_text

    if form is Form.parquet:
        write_parquet(study.trials, path)
    elif form is Form.json:
        write_json(path, {**study_document(study), "trials": [trial.to_dict() for trial in study.trials]})
    elif form is Form.csv:
        write_text(path, as_csv(study.trials))
    else:
        raise HwnasError("a table is for reading, not for a file", "give --format csv, json or parquet with -o")


def _print(console: Console, study: StudyReading, form: Form, output: Path | None) -> None:
    if output is not None:
        console.print(f"{len(study.trials)} trials in {output}", markup=False, soft_wrap=True)
    elif form is Form.csv:
        console.file.write(as_csv(study.trials))
    elif form is Form.json:
        console.file.write(json.dumps([trial.to_dict() for trial in study.trials], indent=1) + "\n")
    else:
        _print_table(console, study)


def _print_table(console: Console, study: StudyReading) -> None:
    from rich.table import Table

    names = shown_values(study)
    table = Table("trial", "status", *names, "fidelity", "tries", "seconds", "note")
    for trial in study.trials[-MOST_SHOWN:]:
        document = trial.to_dict()
        seconds = document["duration_s"]
        table.add_row(
            str(trial.number),
            trial.status,
            *(_number(trial.values.get(name)) for name in names),
            f"{document['fidelity']:g}",
            str(document["attempts"]),
            "" if seconds is None else f"{seconds:.2f}",
            document["note"],
        )
    console.print(table)
    counts = ", ".join(f"{count} {status}" for status, count in study_document(study)["counts"].items())
    hidden = len(study.trials) - MOST_SHOWN
    last = f"; the last {MOST_SHOWN} are shown, --format csv has all" if hidden > 0 else ""
    console.print(f"{len(study.trials)} trials: {counts or 'none was begun'}{last}", markup=False)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
