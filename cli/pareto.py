"""``hwnas pareto``: the feasible candidates of a search that no other beats in both of two metrics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli.output import Answer
from hwnas.cli.studies import RunArgument, StorageOption, StudyOption, read
from hwnas.cli.verb import Shell, verb
from hwnas.errors import HwnasError

if TYPE_CHECKING:
    from rich.console import Console

    from hwnas.search.reading import ReadTrial, StudyReading


@verb(example="hwnas pareto runs/s --x latency_ms --y miou -o front.png")
def command(
    shell: Shell,
    run: RunArgument = None,
    x: Annotated[str, typer.Option("--x", metavar="METRIC", help="Across.")] = "latency_ms",
    y: Annotated[str, typer.Option("--y", metavar="METRIC", help="Upwards.")] = "miou",
    storage: StorageOption = None,
    study: StudyOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PICTURE", help="Draw them: .svg, .png or .pdf.")
    ] = None,
) -> Answer:
    """Show the Pareto front of a search's feasible candidates: metric against metric. Changes nothing."""
    found = read(run, storage, study)
    feasible = _feasible(found, x, y)
    front = _front(feasible, x, y)
    if output is not None:
        _draw(feasible, front, x, y, output)
    for fault in found.faults:
        shell.progress.say(f"WARNING {fault}")
    document: dict[str, Any] = {
        "storage": found.where,
        "study": found.name,
        "x": x,
        "y": y,
        "directions": {name: _direction(name) for name in (x, y)},
        "feasible": len(feasible),
        "trials": len(found.trials),
        "front": [trial.to_dict() for trial in front],
        "picture": None if output is None else str(output),
    }
    return Answer(document, lambda console: _print(console, document))


def _feasible(study: StudyReading, x: str, y: str) -> list[ReadTrial]:
    """The feasible trials of the highest fidelity that have both metrics."""
    good = [trial for trial in study.trials if trial.status == "ok"]
    if not good:
        tried = f"{len(study.trials)} were tried" if study.trials else "none was tried"
        raise HwnasError(f"no trial of {study.where} is feasible: {tried}", "see them with `hwnas trials`")
    highest = max(trial.attrs["request"]["fidelity"] for trial in good)
    good = [trial for trial in good if trial.attrs["request"]["fidelity"] == highest]
    for name in (x, y):
        if all(name not in trial.values for trial in good):
            known = ", ".join(dict.fromkeys(known for trial in good for known in trial.values))
            raise HwnasError(f"no trial has {name!r}", f"they have: {known}")
    return [trial for trial in good if x in trial.values and y in trial.values]


def _direction(name: str) -> str:
    from hwnas.search.objective import direction_of

    return direction_of(name)


def _front(trials: list[ReadTrial], x: str, y: str) -> list[ReadTrial]:
    import numpy as np

    from hwnas.search.pareto import non_dominated

    signs = np.array([1.0 if _direction(name) == "max" else -1.0 for name in (x, y)])
    points = signs * np.array([[trial.values[x], trial.values[y]] for trial in trials])
    return sorted((trials[index] for index in non_dominated(points)), key=lambda trial: trial.values[x])


def _draw(feasible: list[ReadTrial], front: list[ReadTrial], x: str, y: str, path: Path) -> None:
    from hwnas.report.scatter import Dot, draw_dots

    on_front = {trial.number for trial in front}
    dots = [
        Dot(
            str(trial.number) if trial.number in on_front else "",
            "Pareto front" if trial.number in on_front else "feasible",
            trial.values[x],
            trial.values[y],
        )
        for trial in sorted(feasible, key=lambda trial: trial.number in on_front)
    ]
    line = [(trial.values[x], trial.values[y]) for trial in front]
    draw_dots(dots, line, path, x_label=x, y_label=y)


def _print(console: Console, document: dict[str, Any]) -> None:
    from rich.table import Table

    x, y = document["x"], document["y"]
    table = Table("trial", x, y, "fingerprint")
    for trial in document["front"]:
        values = trial["values"]
        table.add_row(str(trial["number"]), f"{values[x]:.4g}", f"{values[y]:.4g}", trial["fingerprint"])
    console.print(table)
    console.print(
        f"{len(document['front'])} of {document['feasible']} feasible trials ({document['trials']} in all) are on the "
        f"front: {x} is to be {_word(document, x)}, {y} {_word(document, y)}"
    )
    if document["picture"]:
        console.print(f"picture      {document['picture']}", markup=False, soft_wrap=True)


def _word(document: dict[str, Any], name: str) -> str:
    return "high" if document["directions"][name] == "max" else "low"
