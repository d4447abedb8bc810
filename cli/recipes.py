"""The options that change how a network is trained, and how their texts are read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.errors import HwnasError

if TYPE_CHECKING:
    from hwnas.training.recipe import Recipe
    from hwnas.training.views import Views

PANEL = "Options of the training"

RecipeOption = Annotated[
    Path | None,
    typer.Option("--recipe", metavar="FILE", help="JSON with fields of the recipe.", rich_help_panel=PANEL),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="A field of the recipe, like loss=ce+lovasz, as often as needed.",
        rich_help_panel=PANEL,
    ),
]
TeacherOption = Annotated[
    str | None,
    typer.Option(
        "--teacher",
        metavar="NETWORK",
        help="Learn this network's logits, too: a run directory, a genotype with --teacher-weights, an .onnx file.",
        rich_help_panel=PANEL,
    ),
]
TeacherWeightsOption = Annotated[
    Path | None,
    typer.Option("--teacher-weights", metavar="FILE", help="Of a teacher's genotype.", rich_help_panel=PANEL),
]
LogOption = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        metavar="KIND",
        help="Beside the JSON lines: csv, tensorboard. As often as needed.",
        rich_help_panel=PANEL,
    ),
]
ScalesOption = Annotated[
    str | None,
    typer.Option(
        "--eval-scales", metavar="SCALES", help="mIoU of the mean over these sizes of val's images: 0.75,1,1.25."
    ),
]
FlipOption = Annotated[
    bool, typer.Option("--eval-flip", help="mIoU of the mean over val's images and their mirror images.")
]


def changes_of(file: Path | None, settings: Sequence[str]) -> dict[str, Any]:
    """A recipe's fields in a JSON file, replaced by those of ``FIELD=VALUE`` texts; values are JSON, or else texts."""
    from hwnas.files import read_json

    changes: dict[str, Any] = {}
    if file is not None:
        document = read_json(file, "recipe")
        if not isinstance(document, dict):
            raise HwnasError(f"the recipe {file} is no JSON object of fields", 'write it like {"lr": 0.01}')
        changes.update(document)
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise HwnasError(f"--set {text!r} sets nothing", "write it like --set loss=ce+lovasz")
        try:
            changes[name.strip()] = json.loads(value)
        except (ValueError, RecursionError):
            changes[name.strip()] = value.strip()
    return changes


def recipe_of(file: Path | None, settings: Sequence[str]) -> Recipe:
    """The recipe that all networks are trained by, with these changes; a bad one is a HwnasError naming the field."""
    from hwnas.cli.stages.training import RECIPE

    return RECIPE.with_values(changes_of(file, settings))


def views_of(scales: str | None, flip: bool) -> Views | None:
    """What ``--eval-scales`` and ``--eval-flip`` ask for; None without them."""
    from hwnas.training.views import Views, parse_scales

    if scales is None and not flip:
        return None
    return Views(parse_scales(scales) if scales is not None else (1.0,), flip)
