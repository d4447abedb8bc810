"""Which published notation belongs to which skeleton: what ``--skeleton`` of the command line can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from hwnas.errors import GenotypeError, HwnasError
from hwnas.files import read_text
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.genotype import Genotype
from hwnas.registry import Registry
from hwnas.shapes import Value
from hwnas.skeletons.base import expand


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


@dataclass(frozen=True)
class Written:
    """The ``text`` of a genotype in a ``notation``, and the ``skeleton`` as which it is read back (``--skeleton``).

    ``unsaid`` are parameters of the genotype that the notation has no place for: what is read back lacks them, or has
    other ones.
    """

    text: str
    notation: str
    skeleton: str
    unsaid: Mapping[str, Value]


NOTATIONS: Registry[Notation] = Registry("skeleton with a notation", "hwnas.zoo.notation")


def read_notation(path: Path, skeleton: str) -> Genotype:
    """The genotype in a file in the notation of ``skeleton``; every fault is a GenotypeError that names the file."""
    notation = NOTATIONS.get(skeleton)
    text = read_text(path, "notation")
    try:
        return notation.read(text, path.stem)
    except HwnasError as error:
        raise GenotypeError(f"{path}: {error.message}", error.hint) from error


def write_notation(genotype: Genotype, notation: str = "") -> Written:
    """``genotype`` in a published notation, else in the one that leaves the fewest of its parameters unsaid.

    What is written was read back: the cells and the skeleton are the same. GenotypeError where that cannot be.
    """
    own = genotype.skeleton
    names = [notation] if notation else sorted(NOTATIONS.names(), key=lambda name: name != own)
    written: list[Written] = []
    faults: list[HwnasError] = []
    for name in names:
        try:
            written.append(_written(genotype, name))
        except HwnasError as fault:
            faults.append(fault)
    if written:
        return min(written, key=lambda each: len(each.unsaid))
    if notation:
        raise faults[0]
    raise GenotypeError(
        f"no published notation can say {genotype.name}, a network of the skeleton {own}",
        f"there are notations for: {', '.join(names)}",
    )


def _written(genotype: Genotype, name: str) -> Written:
    """``genotype`` in the notation ``name``, read back and compared."""
    notation, skeleton = NOTATIONS.get(name), name
    try:
        text = notation.write(genotype)
        again = notation.read(text, genotype.name)
        if again.skeleton != genotype.skeleton and genotype.skeleton in NOTATIONS:
            skeleton = genotype.skeleton
            again = NOTATIONS.get(skeleton).read(text, genotype.name)
    except HwnasError as error:
        raise _unsayable(genotype, name, error.message) from error
    except (LookupError, ValueError) as error:  # writers look cells, ops and states up in what the notation knows
        raise _unsayable(genotype, name, f"there is {error}") from error
    if fingerprint(replace(again, params={})) != fingerprint(replace(genotype, params={})):
        raise _unsayable(genotype, name, "its cells or its skeleton would be others")
    added = {key: value for key, value in again.params.items() if key not in genotype.params}
    if added and not _are_defaults(genotype, added, notation):
        raise _unsayable(genotype, name, f"it would be given {', '.join(added)}")
    unsaid = {key: value for key, value in genotype.params.items() if again.params.get(key) != value}
    return Written(text, name, skeleton, unsaid)


def _are_defaults(genotype: Genotype, params: Mapping[str, Value], notation: Notation) -> bool:
    """Whether the network is the same when it is given ``params``."""
    given = replace(genotype, params={**genotype.params, **params})
    plain, told = (expand(each, (3, *notation.size_hw), notation.classes) for each in (genotype, given))
    return plain.nodes == told.nodes


def _unsayable(genotype: Genotype, name: str, why: str) -> GenotypeError:
    return GenotypeError(
        f"the notation {name} cannot say {genotype.name}: {why}", "leave --as out, and one that fits is chosen"
    )
