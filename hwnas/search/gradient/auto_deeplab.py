"""Auto-DeepLab (arXiv 1901.02985): α on the edges of a cell and β on the steps of a path, learned on two time scales.

Equations 2 to 4 (mixed operations), 5 and 6 (the trellis), 7 (β sums to 1 over what leaves a place), and the bilevel
scheme of section 4.2: the weights alone at first (``learn_from``, half of the paper's 40 epochs, 0.3 here), then
weights and (α, β) in turn on two halves of ``train``, Adam with rate 0.003 and decay 0.001 on the latter. The path is
decoded by Viterbi, the cell by the two strongest edges of every block.

What differs. The paper computes all paths (``paths=soft``); unless that is asked for, one path and one op an edge are
drawn a step (hard Gumbel-softmax, straight through), which a CPU can afford. An edge of the trellis has a copy of the
cell of its own, and the older input of a cell is the sum of all that leads to its newer one's place, where the paper
takes the map of the cell's own level: so that a single path is exactly the network that is derived. Where the derived
network has a decoder, or more filters than ``search_filters`` (8, as in the paper), the search goes without, and the
derived network is trained anew. Latency is in the loss, as a constraint; the paper has none.
"""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.errors import HwnasError
from hwnas.search.gradient.bilevel import Bilevel, alpha_optimizer
from hwnas.search.gradient.logits import Logits
from hwnas.search.gradient.order import Order, Prepared
from hwnas.search.gradient.setup import cool, mixing_of, network_of
from hwnas.search.gradient.step import Batch
from hwnas.spaces.auto_deeplab import AutoDeepLabSpace
from hwnas.spaces.relaxed import Probabilities
from hwnas.training.checkpoint import Part
from hwnas.training.optimizer import make_optimizer

LEARN_FROM = 0.3
RATE, DECAY = 3e-3, 1e-3
SEARCH_FILTERS = 8


class AutoDeepLab:
    """A bilevel step that says how far ahead of the second the best path is."""

    def __init__(self, space: AutoDeepLabSpace, bilevel: Bilevel) -> None:
        self.space, self.bilevel = space, bilevel

    finished = False

    def begin(self, fraction: float) -> None:
        cool(self.bilevel.mixing, fraction)
        self.bilevel.begin(fraction)

    def step(self, train: Batch, val: Batch) -> Mapping[str, float]:
        figures = self.bilevel.step(train, val)
        return {**figures, "path_gap": min(self.space.decode_path(self.relaxation()).gap, 1e9)}

    def relaxation(self) -> Probabilities:
        return self.bilevel.relaxation()

    def parts(self) -> dict[str, Part]:
        return self.bilevel.parts()


def prepare(order: Order) -> Prepared:
    """Options: ``paths`` (sampled), ``learn_from`` (0.3), ``search_filters`` (8)."""
    if not isinstance(order.space, AutoDeepLabSpace):
        raise HwnasError(f"the method auto-deeplab searches trellises, not {order.space.name}")
    searched = order.space.searched(int(order.options.get("search_filters", SEARCH_FILTERS)))
    network = network_of(order, searched)
    logits = Logits(searched.relaxation, seed=order.seed)
    bilevel = Bilevel(
        order.loss(network),
        logits,
        network.parameters(),
        optimizer=alpha_optimizer(logits, lr=float(order.options.get("rate", RATE)), weight_decay=DECAY),
        mixing=mixing_of(order),
        learn_from=float(order.options.get("learn_from", LEARN_FROM)),
        expected_ms=order.expected_ms,
        budget=order.budget,
    )
    optimizer = make_optimizer(network.parameters(), order.recipe)
    return Prepared(AutoDeepLab(searched, bilevel), network, optimizer, inherits=searched is order.space)
