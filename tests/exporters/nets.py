"""Small networks to export: random genotypes of the realtime space at a size that no stride divides."""

from __future__ import annotations

import numpy as np
import torch

from hwnas.compiler.network import Network, compile_graph
from hwnas.data.base import ClassInfo
from hwnas.exporters.untrained import randomise
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import OpGraph
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES

SIZE_HW = (70, 102)
CLASSES = tuple(ClassInfo(f"class{i}", (20 * i, 255 - 20 * i, 40)) for i in range(5))

torch.set_num_threads(1)


def random_genotype(seed: int) -> Genotype:
    space = SPACES.get("realtime")
    return space.decode(space.sample(np.random.default_rng(seed))).genotype


def graph_of(genotype: Genotype, size_hw: tuple[int, int] = SIZE_HW) -> OpGraph:
    return expand(genotype, (3, *size_hw), len(CLASSES))


def random_network(graph: OpGraph, seed: int = 0) -> Network:
    network = compile_graph(graph, seed=seed)
    randomise(network, seed)
    _balance(network.eval())
    return network


@torch.no_grad()
def _balance(network: Network) -> None:
    """Make every class the winner of some pixels: an untrained head gives all of them to one class or two."""
    images = torch.randn(2, *network.graph.shape("image"), generator=torch.Generator().manual_seed(0))
    logits = network(images)
    head = network.get_submodule("classifier").conv
    deviations = logits.std(dim=(0, 2, 3)) + 1e-9
    head.bias.copy_((head.bias - logits.mean(dim=(0, 2, 3))) / deviations)
    head.weight.div_(deviations.view(-1, 1, 1, 1))
