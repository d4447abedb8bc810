"""DARTS (arXiv 1806.09055): bilevel, first or second order, watched for collapse; with PC-DARTS's partial channels.

What differs from the paper: the networks segment (the space's skeleton), the images are crops of the training set's
halves, and the weights follow the recipe that all methods share. BatchNorm in the search neither scales nor shifts, as
the paper has it; poolings are followed by one only where the skeleton's parameter ``pool_norm`` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwnas.search.gradient.bilevel import Bilevel, alpha_optimizer, frozen, same_draws, under
from hwnas.search.gradient.collapse import CollapseWatch, dominant_eigenvalue
from hwnas.search.gradient.logits import Expected, Logits
from hwnas.search.gradient.order import Order, Prepared
from hwnas.search.gradient.setup import cool, mixing_of
from hwnas.search.gradient.step import Batch
from hwnas.spaces.relaxed import Probabilities, RelaxedSpace
from hwnas.supernet.mixing import softmax
from hwnas.supernet.partial import Partial, partial_channels
from hwnas.supernet.relaxed import RelaxedNetwork
from hwnas.training.checkpoint import Part
from hwnas.training.optimizer import make_optimizer


class Darts:
    """A bilevel step that takes a look at itself every ``look_every`` steps (0: never).

    ``partial``: the network's partial channels, whose edges have weights of their own.
    """

    def __init__(
        self,
        space: RelaxedSpace,
        bilevel: Bilevel,
        watch: CollapseWatch | None = None,
        *,
        look_every: int = 200,
        partial: Partial | None = None,
    ) -> None:
        self.space, self.bilevel, self.look_every, self.partial = space, bilevel, look_every, partial
        self.watch = watch or CollapseWatch()
        self.steps = 0
        self.seen: dict[str, float] = {}
        """What the last look saw: logged with every step, since a log takes means."""

    @property
    def finished(self) -> bool:
        """Whether the watch wants the search to end; only where it was told to stop it."""
        return self.watch.finished

    def begin(self, fraction: float) -> None:
        cool(self.bilevel.mixing, fraction)
        self.bilevel.begin(fraction)

    def step(self, train: Batch, val: Batch) -> Mapping[str, float]:
        figures = dict(self.bilevel.step(train, val))
        if self.look_every and self.steps and self.steps % self.look_every == 0:
            self.seen = self._look(val)
        self.steps += 1
        return {**figures, **self.seen}

    def relaxation(self) -> Probabilities:
        """Over the space's soft choices; with partial channels, ops weighed by their edges."""
        learned = self.bilevel.relaxation()
        return self.partial.folded(learned) if self.partial else learned

    def parts(self) -> dict[str, Part]:
        def recall(facts: Any) -> None:
            self.steps, self.seen = int(facts["steps"]), {name: float(value) for name, value in facts["seen"].items()}

        own = Part(facts=lambda: {"steps": self.steps, "seen": self.seen}, recall=recall)
        return {**self.bilevel.parts(), "collapse": self.watch.part(), "darts": own}

    def _look(self, val: Batch) -> dict[str, float]:
        bilevel = self.bilevel
        loss = same_draws(lambda batch: under(bilevel.loss_of, bilevel.logits, softmax, batch))
        with frozen(bilevel.parameters):
            eigenvalue = dominant_eigenvalue(lambda: loss(val), list(bilevel.logits.parameters()), iterations=5)
        genotype = self.space.decode(self.space.derive(self.relaxation())).genotype
        return self.watch.look(genotype, eigenvalue)


def prepare(order: Order) -> Prepared:
    """Options: ``order`` (1, or 2 for the second order), ``paths`` (soft), ``learn_from`` (0), ``look_every`` steps for
    signs of collapse (200; 0: never), ``stop`` (end the search at one), ``partial`` (4: each edge works on a quarter of
    the channels, as in PC-DARTS; 0: on all)."""
    graph, choices = order.space.supergraph(order.shape, order.classes), order.space.relaxation
    parts = int(order.options.get("partial", 0))
    partial = partial_channels(graph, choices, parts) if parts else None
    graph, choices = (partial.graph, partial.choices) if partial else (graph, choices)
    again = bool(int(order.options.get("checkpoint", 0)))
    network = RelaxedNetwork(graph, choices, seed=order.seed, affine=False, checkpoint=again)
    logits = Logits(choices, seed=order.seed, soft=(*network.drawn, *(partial.edges if partial else ())))
    optimizer = make_optimizer(network.parameters(), order.recipe)
    bilevel = Bilevel(
        order.loss(network),
        logits,
        network.parameters(),
        optimizer=alpha_optimizer(logits, lr=float(order.options.get("rate", 3e-4))),
        mixing=mixing_of(order, "soft"),
        order=int(order.options.get("order", 1)),
        learn_from=float(order.options.get("learn_from", 0.0)),
        rate=lambda: float(optimizer.param_groups[0]["lr"]),
        expected_ms=_expected(order, partial),
        budget=order.budget,
        drawn=network.drawn,
    )
    watch = CollapseWatch(stop=bool(order.options.get("stop", False)))
    step = Darts(order.space, bilevel, watch, look_every=int(order.options.get("look_every", 200)), partial=partial)
    return Prepared(step, network, optimizer, inherits=partial is None)


def _expected(order: Order, partial: Partial | None) -> Expected:
    return (lambda weights: order.expected_ms(partial.folded(weights))) if partial else order.expected_ms
