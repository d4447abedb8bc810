"""Which published notation belongs to which skeleton: what ``--skeleton`` of the command line can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from hwnas.errors import GenotypeError, HwnasError
from hwnas.files import read_text
from hwnas.ir.genotype import Genotype
from hwnas.registry import Registry


@dataclass(frozen=True)
class Notation:
    """``read(text, name)`` gives the genotype of a text, ``write`` the text of a genotype.

    ``size_hw`` and ``classes`` are those that nets in this notation were published for, and the defaults. ``options``
    says which parameters of the skeleton ``--channels``, ``--layers`` and ``--auxiliary`` set where these have other
    names there.
    """

    read: Callable[[str, str], Genotype]
    write: Callable[[Genotype], str]
    size_hw: tuple[int, int]
    classes: int
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


NOTATIONS: Registry[Notation] = Registry("skeleton with a notation", "hwnas.zoo.notation")


def read_notation(path: Path, skeleton: str) -> Genotype:
    """The genotype in a file in the notation of ``skeleton``; every fault is a GenotypeError that names the file."""
    notation = NOTATIONS.get(skeleton)
    text = read_text(path, "notation")
    try:
        return notation.read(text, path.stem)
    except HwnasError as error:
        raise GenotypeError(f"{path}: {error.message}", error.hint) from error
