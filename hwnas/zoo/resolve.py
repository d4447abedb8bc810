"""From what a user names — a genotype, a notation file, a name of the zoo — to the network that is meant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hwnas.errors import GenotypeError
from hwnas.files import read_text
from hwnas.ir.genotype import Genotype
from hwnas.shapes import Value
from hwnas.skeletons.base import SKELETONS
from hwnas.zoo.catalog import published_input, resolve_genotype
from hwnas.zoo.notation.registry import NOTATIONS, read_notation


@dataclass(frozen=True)
class Network:
    """A genotype, and the (height, width) and classes that it is for, where that is known."""

    genotype: Genotype
    size_hw: tuple[int, int] | None
    classes: int | None


def resolve_network(
    path_or_name: str | Path,
    *,
    skeleton: str = "",
    options: Mapping[str, Value] | None = None,
    params: Mapping[str, Value] | None = None,
) -> Network:
    """The network of a genotype file, a run directory, a name of the zoo or, with ``skeleton``, a notation file.

    A genotype of another skeleton is put into ``skeleton`` with that one's default parameters. ``params`` replace
    parameters by name; so do ``options``, whose names (channels, layers, auxiliary) the notation may translate. All
    mistakes are GenotypeErrors; whether the parameters fit is for ``expand`` to say.
    """
    path = Path(path_or_name)
    genotype = _notation(path, skeleton)
    published = None if genotype else published_input(path_or_name)
    if genotype is None:
        genotype = resolve_genotype(path_or_name)
        if skeleton and skeleton != genotype.skeleton:
            SKELETONS.get(skeleton)
            genotype, published = replace(genotype, skeleton=skeleton, params={}), None
    notation = next((NOTATIONS.get(name) for name in (skeleton, genotype.skeleton) if name in NOTATIONS), None)
    if published is None and notation is not None:
        published = notation.size_hw, notation.classes
    names = notation.options if notation is not None else {}
    given = {names.get(name, name): value for name, value in (options or {}).items()}
    changed = replace(genotype, params={**genotype.params, **given, **(params or {})})
    return Network(changed, *(published or (None, None)))


def _notation(path: Path, skeleton: str) -> Genotype | None:
    """The genotype of a notation file, or None for anything else."""
    if not path.is_file() or _is_ours(path, notation=bool(skeleton)):
        return None
    if not skeleton:
        raise GenotypeError(
            f"{path} is not a genotype of hwnas",
            f"if it holds a published notation, say which with --skeleton: {', '.join(NOTATIONS.names())}",
        )
    return read_notation(path, skeleton)


def _is_ours(path: Path, *, notation: bool) -> bool:
    """Whether the file says that it is ours, or is meant to: damaged JSON where no notation is expected."""
    text = read_text(path, "genotype")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return '"hwnas-' in text or (not notation and text.lstrip().startswith("{"))
    return isinstance(document, dict) and ("format" in document or "schema_version" in document)


def parse_param(text: str) -> tuple[str, Value]:
    """``"output_stride=8"`` → ``("output_stride", 8)``; values are JSON, or else texts."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise GenotypeError(f"--param {text!r} sets nothing", "write it like --param output_stride=8")
    try:
        return name.strip(), _frozen(json.loads(value))
    except (ValueError, RecursionError):
        return name.strip(), value.strip()


def _frozen(value: object) -> Value:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f"{value!r} is no parameter")
    return value
