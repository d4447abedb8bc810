"""The zoo: every file loads, agrees with the figures of its source, and names that do not exist get an offer."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwnas.compiler.cost import cost_of
from hwnas.errors import GenotypeError
from hwnas.ir.serialize import save_genotype
from hwnas.ir.verify import verify
from hwnas.skeletons.base import expand
from hwnas.zoo.catalog import load, names, resolve_genotype
from hwnas.zoo.scaling import scale_widths


@pytest.mark.parametrize("name", names())
def test_every_network_expands_at_an_odd_size(name: str) -> None:
    graph = expand(load(name), (3, 361, 479), 11)
    verify(graph)
    assert graph.shape(graph.output) == (11, 361, 479)


def test_fast_scnn_has_the_parameters_of_the_known_reimplementation() -> None:
    # Tramac/Fast-SCNN-pytorch, 19 classes: 1,138,051, of which 256 are biases of the two 1x1 convolutions that are
    # fused, which the BatchNorms behind them make redundant. The paper says 1.11 M.
    assert cost_of(expand(load("fast-scnn"), (3, 1024, 2048), 19)).params == 1_138_051 - 256


def test_scaling_widths_scales_parameters_about_quadratically() -> None:
    whole, half = load("fast-scnn"), scale_widths(load("fast-scnn"), 0.5)
    ratio = cost_of(expand(whole, (3, 96, 128), 11)).params / cost_of(expand(half, (3, 96, 128), 11)).params
    assert 3.3 < ratio < 4.2
    assert scale_widths(whole, 1.0).cells == whole.cells


def test_resolving_takes_files_folders_and_names(tmp_path: Path) -> None:
    genotype = load("fast-scnn")
    save_genotype(genotype, tmp_path / "genotype.json")
    for given in (tmp_path / "genotype.json", tmp_path, "fast-scnn"):
        assert resolve_genotype(given) == genotype


@pytest.mark.parametrize(
    ("given", "message"), [("fast-scn", "did you mean fast-scnn"), ("missing/genotype.json", "no genotype file")]
)
def test_error_on_what_is_neither(given: str, message: str) -> None:
    with pytest.raises(GenotypeError, match=message):
        resolve_genotype(given)
