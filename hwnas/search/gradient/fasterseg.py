"""FasterSeg (arXiv 1912.10917): fine-grained latency against collapse, teacher and student searched together.

Section 3.2: a supernet that is told to be fast gives up what is cheapest to give up first, mostly the width and the ops
that cost most, and collapses. So the expected latency is decoupled into what the op of a layer, its resolution and its
width cost (equations 4 and 5), and the three gradients are weighed by 0.001, 0.997 and 0.002: latency hardly looks at
ops, and mostly at resolutions. The value is the expected latency as before.

Section 3.3: two architectures are searched on one supernet, which they share. The teacher is not bound by latency and
has every layer at its full width; the student is, and learns from the teacher's logits beside the labels. The student's
loss is its own plus the Kullback-Leibler divergence from the teacher's prediction.

As in the authors' search, each branch has a head of its own beside that of both together, whose losses are added up
(option ``auxiliary``), and the loss is OHEM's.

What differs. Each of the three is taken while the other two are as they are (in the authors' code the others are
uniform, widths full, and the weights 1/500, 497/500 and 2/500). One way, one op and one width a layer are drawn a step
by hard Gumbel-softmax (the authors compute all ops and draw widths); the budget is a constraint; the paper pretrains
the supernet, here the first part of the time trains its weights alone (``learn_from``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from hwnas.errors import HwnasError
from hwnas.search.gradient.bilevel import Bilevel, alpha_optimizer
from hwnas.search.gradient.logits import Expected, Learned, Logits
from hwnas.search.gradient.order import Order, Prepared
from hwnas.search.gradient.setup import cool, mixing_of, network_of
from hwnas.search.gradient.step import Batch, Loss
from hwnas.spaces.fasterseg import FasterSegSpace
from hwnas.spaces.relaxed import Probabilities
from hwnas.supernet.mixing import Mixing, softmax
from hwnas.supernet.relaxed import RelaxedNetwork
from hwnas.training.checkpoint import Part
from hwnas.training.distill import Distillation
from hwnas.training.optimizer import make_optimizer
from hwnas.training.sizes import logits_node

SHARES = {"op": 0.001, "way": 0.997, "width": 0.002}
"""Of the latency's gradient, in the paper's order: operator, downsampling rate, expansion."""
RATE = 3e-3
LEARN_FROM = 0.2


def group_of(choice: str) -> str:
    """Whether a choice is of a layer's op, of its width, or of the ways of the branches."""
    end = choice.rpartition(".")[2]
    return end if end in ("op", "width") else "way"


def fine_grained(expected: Expected, shares: Mapping[str, float] | None = None) -> Expected:
    """The same expectation, its gradient by each group of choices weighed; the shares sum to 1."""
    weighed = dict(shares or SHARES)

    def decoupled(weights: Mapping[str, Tensor]) -> Tensor:
        value = expected(weights)
        names = [name for name, vector in weights.items() if vector.requires_grad]
        if not names:
            return value
        found = torch.autograd.grad(value, [weights[name] for name in names], retain_graph=True, allow_unused=True)
        total = value.detach()
        for name, slope in zip(names, found, strict=True):
            if slope is not None:
                moved = (slope * (weights[name] - weights[name].detach())).sum()
                total = total + weighed[group_of(name)] * moved
        return total

    return decoupled


class Widest:
    """Logits whose widths are fixed at the last, full one: the teacher's."""

    def __init__(self, inner: Logits) -> None:
        self.inner = inner
        self.parameters = inner.parameters
        self.finite = inner.finite
        self.state_dict = inner.state_dict
        self.load_state_dict = inner.load_state_dict

    def weights(self, mixing: Mixing = softmax) -> dict[str, Tensor]:
        return {
            name: self._full(vector) if group_of(name) == "width" else mixing(vector)
            for name, vector in self.inner.tensors.items()
        }

    def probabilities(self, mixing: Mixing = softmax) -> Probabilities:
        with torch.no_grad():
            found = self.weights(lambda vector: mixing(vector.double()))
            return {name: vector.double().cpu().numpy() for name, vector in found.items()}

    def _full(self, vector: Tensor) -> Tensor:
        full = torch.zeros_like(vector)
        full[-1] = 1.0
        return full


class DrawnTeacher:
    """Gives the logits of a network that is drawn from the teacher anew each time, on the weights that both share."""

    def __init__(self, network: RelaxedNetwork, teacher: Learned, mixing: Mixing) -> None:
        self.network, self.teacher, self.mixing = network, teacher, mixing

    def __call__(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            drawn = self.teacher.weights(self.mixing)
            found: Tensor = self.network(images, drawn, output=logits_node(self.network.graph))
        return found


class FasterSeg:
    """A bilevel step of the student and one of the teacher, on the same batches and the same weights."""

    def __init__(self, student: Bilevel, teacher: Bilevel) -> None:
        self.student, self.teacher = student, teacher

    finished = False

    def begin(self, fraction: float) -> None:
        for bilevel in (self.student, self.teacher):
            cool(bilevel.mixing, fraction)
            bilevel.begin(fraction)

    def step(self, train: Batch, val: Batch) -> Mapping[str, float]:
        figures = self.student.step(train, val)
        taught = self.teacher.step(train, val)
        return {**figures, **{f"teacher_{name}": value for name, value in taught.items()}}

    def relaxation(self) -> Probabilities:
        """The student's."""
        return self.student.relaxation()

    def teaching(self) -> Probabilities:
        """The teacher's: what is derived from it is what the derived student is distilled from."""
        return self.teacher.relaxation()

    def parts(self) -> dict[str, Part]:
        teacher = {f"teacher_{name}": part for name, part in self.teacher.parts().items()}
        return {**self.student.parts(), **teacher}


def prepare(order: Order) -> Prepared:
    """Options: ``paths`` (sampled), ``learn_from`` (0.2), ``distillation``, the weight of the divergence (1),
    ``auxiliary`` (1: branches have heads of their own)."""
    if not isinstance(order.space, FasterSegSpace):
        raise HwnasError(f"the method fasterseg searches branches and widths, not {order.space.name}")
    heads = bool(order.options.get("auxiliary", 1))
    network = network_of(order, graph=order.space.supergraph(order.shape, order.classes, auxiliary=heads))
    student, teacher = (
        Logits(order.space.relaxation, seed=order.seed),
        Logits(order.space.relaxation, seed=order.seed + 1),
    )
    wide = Widest(teacher)
    mixing = mixing_of(order)
    weight, recipe = float(order.options.get("distillation", 1.0)), order.recipe
    taught = Distillation(DrawnTeacher(network, wide, mixing), weight, recipe.temperature, recipe.loss_stride)
    rate, start = float(order.options.get("rate", RATE)), float(order.options.get("learn_from", LEARN_FROM))

    def bilevel(loss: Loss, logits: Learned, inner: Logits, **more: object) -> Bilevel:
        make: Callable[..., Bilevel] = Bilevel
        optimizer = alpha_optimizer(inner, lr=rate)
        return make(loss, logits, network.parameters(), optimizer=optimizer, mixing=mixing, learn_from=start, **more)

    step = FasterSeg(
        bilevel(
            order.loss(network, taught) if weight else order.loss(network),
            student,
            student,
            expected_ms=fine_grained(order.expected_ms),
            budget=order.budget,
        ),
        bilevel(order.loss(network), wide, teacher),
    )
    return Prepared(step, network, make_optimizer(network.parameters(), order.recipe), teaching=step.teaching)
