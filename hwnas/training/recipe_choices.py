"""Which recipes are searched: ``lr=0.003,0.01`` → a choice between them. Fields that matter only under some value of
another are active only then.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence

from hwnas.errors import HwnasError
from hwnas.shapes import Value
from hwnas.spaces.base import Choice
from hwnas.spaces.recipes import PREFIX
from hwnas.training.recipe import Recipe

USUAL: Mapping[str, tuple[Value, ...]] = {
    "optimizer": ("adamw", "sgd"),
    "lr": (0.001, 0.003, 0.01, 0.03),
    "weight_decay": (0.0, 0.001, 0.01, 0.05),
    "schedule": ("poly", "cosine"),
    "warmup": (0.0, 0.02, 0.1),
    "batch": (4, 8, 16),
    "scale": ((0.75, 1.25), (0.5, 1.25), (0.5, 2.0)),
    "crop": (0.5, 0.75, 1.0),
    "full_size": (0.0, 0.1, 0.3),
    "loss": ("ce", "ohem", "ce+lovasz", "ce+dice"),
    "balance": ("none", "median", "enet"),
    "label_smoothing": (0.0, 0.05, 0.1),
    "drop_path": (0.0, 0.1, 0.2),
    "ema": (0.0, 0.9, 0.99),
}
"""Options of a field that is named without any. ``scale`` and ``crop`` are how strong the augmentation is."""

GROUP = ("lr", "weight_decay", "scale", "crop", "loss", "balance", "label_smoothing")
"""The fields that ``usual`` stands for."""

Met = Callable[[Value], bool]


def _has(*names: str) -> Met:
    return lambda loss: any(name in str(loss).split("+") for name in names)


CONDITIONS: Mapping[str, tuple[str, Met]] = {
    "momentum": ("optimizer", lambda value: value == "sgd"),
    "power": ("schedule", lambda value: value == "poly"),
    "ohem_threshold": ("loss", _has("ohem")),
    "ohem_kept": ("loss", _has("ohem")),
    "balance": ("loss", _has("ce", "ohem")),
    "label_smoothing": ("loss", _has("ce", "ohem")),
}
"""A field → the field that decides whether it matters, and for which values it does."""

WITHOUT_EFFECT: Mapping[str, str] = {
    "distillation": "no teacher takes part in a search",
    "temperature": "no teacher takes part in a search",
    "precision": "it changes how fast a training is rather than what it learns",
}


def recipe_choices(texts: Sequence[str], base: Recipe) -> list[Choice]:
    """The choices that ``FIELD=A,B,C`` texts name; ``FIELD`` alone is its :data:`USUAL` options, ``usual`` several.

    Options are JSON (``scale=[0.5,1.25],[0.75,1.25]``), or else words. ``base`` has the values of all other fields. A
    HwnasError for what is no field, no value of it, no choice, or without effect.
    """
    options: dict[str, tuple[Value, ...]] = {}
    for text in texts:
        for field, values in _fields_of(text).items():
            if field in options:
                raise HwnasError(f"the recipe's {field} is varied twice", "name each field once")
            options[field] = values
    for field, values in options.items():
        _check(field, values, base)
    order = [field.name for field in dataclasses.fields(Recipe)]  # what others depend on comes before them
    return [_choice(field, options, base) for field in sorted(options, key=order.index)]


def _fields_of(text: str) -> dict[str, tuple[Value, ...]]:
    name, equals, values = text.partition("=")
    name = name.strip()
    if equals:
        return {name: _options_of(values)}
    if name == "usual":
        return {field: USUAL[field] for field in GROUP}
    if name not in USUAL:
        raise HwnasError(
            f"--vary {text!r} names no options", f"write it like lr=0.003,0.01; with usual ones: {', '.join(USUAL)}"
        )
    return {name: USUAL[name]}


def _options_of(text: str) -> tuple[Value, ...]:
    try:
        read = json.loads(f"[{text}]")
    except (ValueError, RecursionError):
        read = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(tuple(value) if isinstance(value, list) else value for value in read)


def _check(field: str, values: tuple[Value, ...], base: Recipe) -> None:
    if field in WITHOUT_EFFECT:
        raise HwnasError(f"varying the recipe's {field} is of no use: {WITHOUT_EFFECT[field]}", "leave it out")
    for value in values:
        base.with_values({field: value})
    if len(set(values)) < max(2, len(values)):
        raise HwnasError(
            f"the recipe's {field} has no choice between {', '.join(map(str, values)) or 'nothing'}",
            f"give it two different values or more, like --vary {field}=A,B",
        )


def _choice(field: str, options: Mapping[str, tuple[Value, ...]], base: Recipe) -> Choice:
    condition: dict[str, tuple[Value, ...]] = {}
    if field in CONDITIONS:
        other, met = CONDITIONS[field]
        there = options.get(other, (getattr(base, other),))
        active = tuple(value for value in there if met(value))
        if not active:
            raise HwnasError(
                f"the recipe's {field} changes nothing where its {other} is {', '.join(map(str, there))}",
                f"leave it out, or vary {other}, too",
            )
        if len(active) < len(there):
            condition = {PREFIX + other: active}
    return Choice(PREFIX + field, options[field], condition)
