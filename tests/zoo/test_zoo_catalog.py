"""The zoo: every file loads, agrees with the figures of its source, and names that do not exist get an offer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hwnas.compiler.cost import cost_of
from hwnas.errors import GenotypeError
from hwnas.ir.serialize import save_genotype
from hwnas.ir.verify import verify
from hwnas.skeletons.base import expand, task_of
from hwnas.zoo.catalog import entry, load, load_entry, names, published_input, resolve_genotype, save_entry
from hwnas.zoo.scaling import scale_widths


@pytest.mark.parametrize("name", names())
def test_every_network_expands_at_an_odd_size(name: str) -> None:
    graph = expand(load(name), (3, 361, 479), 11)
    verify(graph)
    if load(name).params.get("head") != "none":  # a backbone by itself gives features
        assert graph.shape(graph.output) == (11, *((361, 479) if task_of(graph) == "segmentation" else (1, 1)))


@pytest.mark.parametrize("name", names())
def test_every_network_says_where_it_comes_from(name: str) -> None:
    network = entry(name)
    assert network.paper and network.source
    assert published_input(name) == (network.size_hw, network.classes)


@pytest.mark.parametrize("name", ["fast-scnn", "pidnet-s"])
def test_a_network_survives_its_file(name: str, tmp_path: Path) -> None:
    save_entry(entry(name), tmp_path / "again.json")
    assert load_entry(tmp_path / "again.json") == entry(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "hwnas-genotype"}, "not a network of the zoo"),
        ({"size": [512]}, "'size' must be"),
        ({"classes": 0}, "'classes' a number"),
        ({"paper": 5}, "must be texts"),
        ({"papers": "x"}, "field 'papers' is unknown"),
    ],
)
def test_error_on_a_damaged_file_names_it(change: dict[str, object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    save_entry(entry("fast-scnn"), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(GenotypeError, match=message) as caught:
        load_entry(path)
    assert "net.json" in str(caught.value)


def test_scaling_widths_scales_parameters_about_quadratically() -> None:
    whole, half = load("fast-scnn"), scale_widths(load("fast-scnn"), 0.5)
    ratio = cost_of(expand(whole, (3, 96, 128), 11)).params / cost_of(expand(half, (3, 96, 128), 11)).params
    assert 3.3 < ratio < 4.2
    assert scale_widths(whole, 1.0) == replace(whole, name="fast-scnn-x1")


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
