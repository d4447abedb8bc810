"""Where the study of a run is, and its trials as rows of a table, in every form that they are given in."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.errors import HwnasError

if TYPE_CHECKING:
    from hwnas.search.reading import ReadTrial, StudyReading

RunArgument = Annotated[
    Path | None, typer.Argument(metavar="[RUN]", help="A run directory, or a journal file.", show_default=False)
]
StorageOption = Annotated[
    str | None,
    typer.Option("--storage", metavar="URL", help="Where the study is: sqlite:///FILE, postgresql://…; else the run."),
]
StudyOption = Annotated[
    str | None, typer.Option("--study", metavar="NAME", help="Which study of the storage, if it holds several.")
]

FIRST = ("number", "status", "note", "fidelity", "attempts", "duration_s")
"""Columns that come first; the measured values follow, then the rest."""
GROUPS = {"values": "value", "costs": "cost", "decisions": "decision", "recipe": "recipe"}


def read(run: Path | None, storage: str | None, study: str | None) -> StudyReading:
    """The study of a run directory or of a storage; HwnasError if neither or both are given."""
    from hwnas.search.reading import read_study

    if (run is None) == (storage is None):
        raise HwnasError("it must be said which study is meant", "give a run directory, or --storage URL")
    if storage is not None:
        return read_study(storage, study)
    assert run is not None
    where, name = study_of_run(run)
    return read_study(where, study or name)


def study_of_run(run: Path) -> tuple[Path | str, str | None]:
    """Where the study of a run directory is, and its name: its journal, or the storage that its settings name."""
    from hwnas.rundir import CONFIG, read_config
    from hwnas.search.storage import JOURNAL

    if run.is_file():
        return run, None
    if (run / CONFIG).is_file():
        config = read_config(run)
        if config.get("storage"):
            return str(config["storage"]), config.get("study")
    return run / JOURNAL, None


def rows_of(trials: Sequence[ReadTrial]) -> list[dict[str, Any]]:
    """One flat row a trial, all with the same columns; what a trial has not got is None, what is nested JSON text."""
    documents = [trial.to_dict() for trial in trials]
    columns = dict.fromkeys(FIRST)
    rows = []
    for document in documents:
        flat: dict[str, Any] = {name: document[name] for name in FIRST}
        for group in ("values", *(name for name in GROUPS if name != "values")):
            flat |= {f"{GROUPS[group]}.{name}": _cell(value) for name, value in document[group].items()}
        rest = (name for name in document if name not in GROUPS and name not in FIRST)
        flat |= {name: _cell(document[name]) for name in rest}
        rows.append(flat)
        columns |= dict.fromkeys(flat)
    return [{name: row.get(name) for name in columns} for row in rows]


def _cell(value: Any) -> Any:
    return json.dumps(value, separators=(",", ":")) if isinstance(value, (dict, list)) else value


def as_csv(trials: Sequence[ReadTrial]) -> str:
    rows = rows_of(trials)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else list(FIRST), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_parquet(trials: Sequence[ReadTrial], path: Path) -> None:
    """Needs pyarrow. A column whose values are of several kinds (a choice of 1 or "none") is written as text."""
    from hwnas.files import write_with
    from hwnas.optional import require

    pyarrow = require("pyarrow", extra="parquet")
    parquet = require("pyarrow.parquet", extra="parquet")
    rows = rows_of(trials)
    names = list(rows[0]) if rows else list(FIRST)
    table = pyarrow.table({name: _of_one_kind([row[name] for row in rows]) for name in names})
    write_with(path, lambda beside: parquet.write_table(table, beside))


def _of_one_kind(values: list[Any]) -> list[Any]:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or len(kinds) <= 1:
        return [float(value) if float in kinds and isinstance(value, int) else value for value in values]
    return [None if value is None else str(value) for value in values]


def study_document(study: StudyReading) -> dict[str, Any]:
    """What the study is of, and how its trials stand."""
    counts: dict[str, int] = {}
    for trial in study.trials:
        counts[trial.status] = counts.get(trial.status, 0) + 1
    return {
        "storage": study.where,
        "study": study.name,
        "metrics": dict(study.metrics),
        "limits": study.identity.get("limits", {}),
        "space": study.identity.get("space"),
        "seed": study.identity.get("seed"),
        "contract": study.contract,
        "counts": counts,
        "faults": list(study.faults),
    }


def shown_values(study: StudyReading) -> list[str]:
    """The metrics that matter: what was searched for and what was limited."""
    limits: Mapping[str, float] = study.identity.get("limits", {})
    return list(dict.fromkeys([*study.metrics, *limits]))
