"""GAS (arXiv 1909.06793, CVPR 2020): a cell of its own for every layer, neighbours related by a graph convolution.

The paper relaxes the choices of each cell by Gumbel-softmax (its equation 3), and its GCN-guided module lets what one
cell has learned flow to its neighbours: α_k' = α_k + γ f(α_1 … α_K), f a graph convolution over the chain of cells.
Here the parameters of a cell's choices, one after another, are the features of a node; nodes are joined along
:attr:`~hwnas.spaces.gas.GASSpace.links`; f is a graph convolution (Kipf and Welling, arXiv 1609.02907, in PyTorch
Geometric's code) into a hidden layer, a ReLU and another one back, and γ is learned from 0: at first every cell is on
its own. Latency is in the loss, as in the paper, here as a constraint.

What differs. The paper's cell has four kinds of candidate with fixed wiring; ours searches the wiring, too (see
:mod:`hwnas.spaces.gas`). Drawn options are hard: one op a choice is computed a step (``paths=soft`` computes all).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hwnas.errors import HwnasError
from hwnas.optional import require
from hwnas.search.gradient.bilevel import Bilevel, alpha_optimizer
from hwnas.search.gradient.cooled import Cooled
from hwnas.search.gradient.logits import Logits
from hwnas.search.gradient.order import Order, Prepared
from hwnas.search.gradient.setup import mixing_of, network_of
from hwnas.spaces.base import Choice
from hwnas.spaces.gas import GASSpace
from hwnas.spaces.relaxed import Probabilities
from hwnas.supernet.mixing import Mixing, softmax
from hwnas.training.optimizer import make_optimizer

HIDDEN = 32
RATE = 3e-3
LEARN_FROM = 0.1


class GuidedLogits:
    """Logits of the choices of a chain of like cells, each with what a graph convolution brings from its neighbours.

    ``cells``: for every layer its choices, the same number of options in the same order. An interface as
    :class:`~hwnas.search.gradient.logits.Logits`.
    """

    def __init__(
        self, cells: list[list[Choice]], edges: list[tuple[int, int]], *, seed: int = 0, hidden: int = HIDDEN
    ) -> None:
        self.cells = cells
        self.sizes = [len(choice.options) for choice in cells[0]]
        assert all([len(choice.options) for choice in cell] == self.sizes for cell in cells)
        self.own = Logits([choice for cell in cells for choice in cell], seed=seed)
        conv: Any = require("torch_geometric.nn", extra="gas").GCNConv
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.convolutions = nn.ModuleList([conv(sum(self.sizes), hidden), conv(hidden, sum(self.sizes))])
        self.gain = nn.Parameter(torch.zeros(()))
        both = [*edges, *((b, a) for a, b in edges)]
        self.edges = torch.tensor(both).T.contiguous()

    def parameters(self) -> Iterator[nn.Parameter]:
        yield from self.own.parameters()
        yield from self.convolutions.parameters()
        yield self.gain

    def guided(self) -> dict[str, Tensor]:
        """The logits of each choice, with the neighbours' share."""
        features = torch.stack([torch.cat([self.own.tensors[choice.name] for choice in cell]) for cell in self.cells])
        brought = self.convolutions[1](torch.relu(self.convolutions[0](features, self.edges)), self.edges)
        mixed = features + torch.tanh(self.gain) * brought
        found: dict[str, Tensor] = {}
        for cell, row in zip(self.cells, mixed, strict=True):
            found.update(zip((choice.name for choice in cell), row.split(self.sizes), strict=True))
        return found

    def weights(self, mixing: Mixing = softmax) -> dict[str, Tensor]:
        return {name: mixing(vector) for name, vector in self.guided().items()}

    def probabilities(self, mixing: Mixing = softmax) -> Probabilities:
        with torch.no_grad():
            return {name: mixing(vector.double()).numpy() for name, vector in self.guided().items()}

    def finite(self) -> bool:
        return all(bool(torch.isfinite(vector).all()) for vector in self.parameters())

    def state_dict(self) -> dict[str, Tensor]:
        convolutions = {
            f"convolutions.{name}": value.detach().clone() for name, value in self.convolutions.state_dict().items()
        }
        return {**self.own.state_dict(), **convolutions, "gain": self.gain.detach().clone()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        prefix = "convolutions."
        inner = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        own = {name: value for name, value in tensors.items() if not name.startswith(prefix) and name != "gain"}
        self.own.load_state_dict(own)
        self.convolutions.load_state_dict(inner)
        with torch.no_grad():
            self.gain.copy_(tensors["gain"])


def prepare(order: Order) -> Prepared:
    """Options: ``paths`` (sampled), ``learn_from`` (0.1). Needs the extra ``gas``."""
    if not isinstance(order.space, GASSpace):
        raise HwnasError(f"the method gas searches a chain of cells, not {order.space.name}")
    cells = order.space.cells
    layer_of = {choice.name: layer for layer, cell in enumerate(cells) for choice in cell}
    edges = sorted({(layer_of[a], layer_of[b]) for a, b in order.space.links})
    logits = GuidedLogits(cells, edges, seed=order.seed)
    network = network_of(order)
    bilevel = Bilevel(
        order.loss(network),
        logits,
        network.parameters(),
        optimizer=alpha_optimizer(logits, lr=float(order.options.get("rate", RATE))),
        mixing=mixing_of(order),
        learn_from=float(order.options.get("learn_from", LEARN_FROM)),
        expected_ms=order.expected_ms,
        budget=order.budget,
    )
    return Prepared(Cooled(bilevel), network, make_optimizer(network.parameters(), order.recipe))
