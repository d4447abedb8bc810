"""ScheduledDropPath (NASNet, arXiv 1707.07012): in training, branches of cells are dropped at random.

The rule. A *branch* is a node that nothing but one ``add`` or ``concat`` of the same cell reads, and that is neither an
identity (``skip_connect``) nor an ``add`` or ``concat`` itself. Cells are what skeletons call ``cell…``, ``reduction…``
or ``group…``; stems, heads and decoders have none. At each step, for each image of the batch by itself, each branch is
dropped with a probability that rises linearly with the fraction of the budget that is spent, from 0 to the recipe's
``drop_path``; those that stay are divided by the probability of staying. (DARTS does the same; NASNet's own code also
lets the probability rise with the depth of the cell.)

Graphs are left as they are: the dropping is hooked to the modules of a network that is being trained, and acts in
training mode alone.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hwnas.errors import HwnasError

if TYPE_CHECKING:
    from hwnas.compiler.network import Network
    from hwnas.ir.opgraph import OpGraph

JOINS = ("add", "concat")
IDENTITY = "skip_connect"
CELLS = re.compile(r"(?:cell|reduction|group)\d*/")


def branches(graph: OpGraph) -> dict[str, tuple[int, ...]]:
    """For each ``add`` and ``concat`` that has branches: which of its inputs they are."""
    readers = Counter(source for node in graph.nodes for source in node.inputs)
    readers.update((graph.output, *graph.auxiliary))
    found = {}
    for node in graph.nodes:
        if node.op not in JOINS or not CELLS.match(node.name):
            continue
        cell = node.name.partition("/")[0] + "/"
        slots = tuple(
            slot
            for slot, source in enumerate(node.inputs)
            if source.startswith(cell) and readers[source] == 1 and graph.node(source).op not in (*JOINS, IDENTITY)
        )
        if slots:
            found[node.name] = slots
    return found


def check_branches(graph: OpGraph) -> None:
    """HwnasError if there is nothing to drop."""
    if not branches(graph):
        raise HwnasError("recipe: drop_path drops branches of cells, and the network has none", "set drop_path to 0")


class DropPath:
    """Drops branches of ``network``, a network under training, with :attr:`probability`, which is 0 at first."""

    def __init__(self, network: Network) -> None:
        self.probability = 0.0
        check_branches(network.graph)
        for name, slots in branches(network.graph).items():
            network.get_submodule(name).register_forward_pre_hook(partial(self._drop, slots))

    def _drop(self, slots: tuple[int, ...], module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        if not module.training or self.probability == 0:
            return None
        return tuple(dropped(value, self.probability) if slot in slots else value for slot, value in enumerate(inputs))


def dropped(values: Tensor, probability: float) -> Tensor:
    """Each image of ``values`` (N, C, H, W) is zero with ``probability``, or divided by 1 - ``probability``."""
    kept = 1.0 - probability
    mask = torch.empty((len(values), 1, 1, 1), device=values.device, dtype=values.dtype).bernoulli_(kept)
    return values * (mask / kept)
