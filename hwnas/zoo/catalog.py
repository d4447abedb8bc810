"""Published networks as files, and the one way from "a file or a zoo name" to a genotype.

A file of the zoo, ``genotypes/NAME.json``, holds a genotype and what is known of it::

    {
      "format": "hwnas-zoo",
      "paper": "DARTS: Differentiable Architecture Search, arXiv 1806.09055",
      "source": "quark0/darts@f276dd346a:cnn/genotypes.py",
      "note": "searched on CIFAR-10, second order",
      "size": [32, 32],
      "classes": 10,
      "genotype": {"format": "hwnas-genotype", …}
    }

``size`` (height, width) and ``classes`` are the published ones and the defaults wherever the network is named; ``note``
may be missing. Published figures stand in :mod:`hwnas.zoo.published`.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from hwnas.errors import GenotypeError, HwnasError
from hwnas.files import read_json, write_text
from hwnas.ir.genotype import Genotype
from hwnas.ir.serialize import genotype_from_dict, genotype_to_dict, load_genotype, pretty_json

FORMAT = "hwnas-zoo"
_FIELDS = {"format", "paper", "source", "note", "size", "classes", "genotype"}


@dataclass(frozen=True)
class ZooEntry:
    """A published network.

    ``paper`` is its title and number, ``source`` where it was read (``repository@commit:path``), ``size_hw`` and
    ``classes`` what it was published for.
    """

    genotype: Genotype
    paper: str
    source: str
    size_hw: tuple[int, int]
    classes: int
    note: str = ""


def _paths() -> dict[str, Path]:
    folder = Path(str(files("hwnas.zoo"))) / "genotypes"
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


def names() -> list[str]:
    """Names of all networks of the zoo, sorted."""
    return list(_paths())


@cache
def entry(name: str) -> ZooEntry:
    """The network called ``name``; GenotypeError with the nearest names if there is none."""
    paths = _paths()
    if name not in paths:
        near = difflib.get_close_matches(name.lower().replace("_", "-"), paths, n=3)
        raise GenotypeError(
            f"the zoo has no network {name!r}",
            f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(paths)}",
        )
    return load_entry(paths[name])


def load(name: str) -> Genotype:
    """The genotype called ``name``; GenotypeError with the nearest names if there is none."""
    return entry(name).genotype


def load_entry(path: Path) -> ZooEntry:
    """The network in a file of the zoo; every fault is a GenotypeError that names the file."""
    document = read_json(path, "zoo network")
    try:
        return _entry_of(document)
    except HwnasError as error:
        raise GenotypeError(f"{path}: {error.message}", error.hint) from error


def save_entry(network: ZooEntry, path: Path) -> None:
    """Write a network to a file of the zoo."""
    document = {
        "format": FORMAT,
        "paper": network.paper,
        "source": network.source,
        **({"note": network.note} if network.note else {}),
        "size": list(network.size_hw),
        "classes": network.classes,
        "genotype": genotype_to_dict(network.genotype),
    }
    _entry_of(document)
    write_text(path, pretty_json(document) + "\n")


def _entry_of(document: object) -> ZooEntry:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise GenotypeError(f"this is not a network of the zoo: its 'format' is not {FORMAT!r}")
    wrong = sorted((_FIELDS - {"note"} - set(document)) | (set(document) - _FIELDS))
    if wrong:
        raise GenotypeError(f"the field {wrong[0]!r} is {'unknown' if wrong[0] in document else 'missing'}")
    texts = [document["paper"], document["source"], document.get("note", "")]
    numbers = [*document["size"], document["classes"]] if isinstance(document["size"], list) else []
    if not all(isinstance(text, str) for text in texts):
        raise GenotypeError("'paper', 'source' and 'note' must be texts")
    if len(numbers) != 3 or not all(isinstance(number, int) and number > 0 for number in numbers):
        raise GenotypeError("'size' must be [height, width] and 'classes' a number")
    genotype = genotype_from_dict(document["genotype"])
    return ZooEntry(genotype, texts[0], texts[1], (numbers[0], numbers[1]), numbers[2], texts[2])


def resolve_genotype(path_or_name: str | Path) -> Genotype:
    """A genotype from a file, else from the zoo by name."""
    path = Path(path_or_name)
    if path.is_dir() and (path / "genotype.json").is_file():
        return load_genotype(path / "genotype.json")
    if path.is_file():
        return load_genotype(path)
    if path.suffix or len(path.parts) > 1:
        raise GenotypeError(f"there is no genotype file {path}", f"give a file or a zoo name: {', '.join(_paths())}")
    return load(str(path_or_name))


def published_input(path_or_name: str | Path) -> tuple[tuple[int, int], int] | None:
    """((height, width), classes) that a network was published for, or None for what is not a name of the zoo."""
    known = str(path_or_name) in _paths() and not Path(path_or_name).exists()
    return (entry(str(path_or_name)).size_hw, entry(str(path_or_name)).classes) if known else None
