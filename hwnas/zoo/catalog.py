"""Published networks as genotype files, and the one way from "a file or a zoo name" to a genotype."""

from __future__ import annotations

import difflib
from importlib.resources import files
from pathlib import Path

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import Genotype
from hwnas.ir.serialize import load_genotype


def _paths() -> dict[str, Path]:
    folder = Path(str(files("hwnas.zoo"))) / "genotypes"
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


def names() -> list[str]:
    """Names of all networks of the zoo, sorted."""
    return list(_paths())


def load(name: str) -> Genotype:
    """The genotype called ``name``; GenotypeError with the nearest names if there is none."""
    paths = _paths()
    if name not in paths:
        near = difflib.get_close_matches(name, paths, n=3)
        raise GenotypeError(
            f"the zoo has no network {name!r}",
            f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(paths)}",
        )
    return load_genotype(paths[name])


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
