"""``hwnas sample``: random genotypes of a search space, as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.options import SpaceOption
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb

if TYPE_CHECKING:
    from rich.console import Console


@verb(example="hwnas sample --space realtime -n 5 --seed 7 -o nets")
def command(
    shell: Shell,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the genotype files.")],
    space: SpaceOption = "realtime",
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many genotypes.")] = 1,
) -> Answer:
    """Draw random genotypes of a search space and write each as a JSON file."""
    import numpy as np

    from hwnas.ir.serialize import save_genotype
    from hwnas.spaces.base import SPACES

    source = SPACES.get(space)
    rng = np.random.default_rng(shell.seed)
    paths = []
    for index in range(count):
        name = f"{space}-{shell.seed}-{index:04d}"
        genotype = replace(source.decode(source.sample(rng)).genotype, name=name)
        path = output / f"{name}.json"
        save_genotype(genotype, path)
        paths.append(path)
    document = {"space": space, "seed": shell.seed, "genotypes": paths}

    def text(console: Console) -> None:
        for path in paths:
            console.print(str(path), markup=False, soft_wrap=True)

    return Answer(document, text)
