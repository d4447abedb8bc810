"""What the table of published figures cannot say of the mobile nets: one class, and facts that other sources state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwnas.compiler.cost import cost_of
from hwnas.skeletons.base import SKELETONS, expand
from hwnas.zoo.catalog import load
from hwnas.zoo.published import Figure, figures

ONE_CLASS = [figure for figure in figures() if figure.family == "nekrasov" and "_nc1/" in figure.id]


@pytest.mark.parametrize("figure", ONE_CLASS, ids=lambda figure: figure.id)
def test_decoders_with_one_output_channel(figure: Figure) -> None:
    """The authors' depth estimators; :func:`expand` wants two classes, so the skeleton is called itself."""
    _, _, network, quantity = figure.id.split("/")
    height, width = map(int, quantity.rpartition("_")[2].split("x")) if "macs" in quantity else (64, 64)
    genotype = load(f"nekrasov-{network.partition('_')[0]}")
    training = quantity == "params_total"
    genotype = replace(genotype, params={**genotype.params, "auxiliary": training})
    graph = SKELETONS.get(genotype.skeleton)(genotype, (3, height, width), 1)
    cost = cost_of(graph, auxiliary=training)
    assert (cost.macs if "macs" in quantity else cost.params) == figure.value


@pytest.mark.parametrize(
    ("name", "params", "macs_million", "pooled"),
    [
        ("proxyless-gpu", 7_119_848, 465.3, 0),  # osmr/imgclsmob's own test; the authors' log of the ImageNet run
        ("proxyless-cpu", 4_361_648, 439.2, 0),
        ("proxyless-mobile", 4_080_512, 320.4, 0),
        ("fbnet-a", 4_321_232, 244.5, 1504),  # mobile-vision's README, which counts the mean over 7x7 pixels, too
        ("fbnet-b", None, 291.1, 1984),
        ("fbnet-c", 5_592_784, 378.2, 1984),
    ],
)
def test_figures_of_logs_and_readmes(name: str, params: int | None, macs_million: float, pooled: int) -> None:
    cost = cost_of(expand(load(name), (3, 224, 224), 1000))
    assert params is None or cost.params == params
    assert round((cost.macs + pooled * 49) / 1e6, 1) == macs_million


def test_second_papers_other_decoder_has_the_parameters_of_its_readme() -> None:
    assert cost_of(expand(load("nekrasov-templates-arch1"), (3, 64, 64), 19)).params == 268_235


@pytest.mark.parametrize(("arch", "millions"), [("arch0", 2.67), ("arch1", 2.85), ("arch2", 2.89)])
def test_first_papers_decoders_have_the_parameters_that_its_notebook_prints(arch: str, millions: float) -> None:
    genotype = load(f"nekrasov-{arch}")
    training = replace(genotype, params={**genotype.params, "auxiliary": True})
    cost = cost_of(expand(training, (3, 64, 64), 21), auxiliary=True)
    assert round(cost.params / 1e6, 2) == millions
