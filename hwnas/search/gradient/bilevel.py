"""Bilevel optimisation (DARTS, arXiv 1806.09055): the relaxation on one part of the data, the weights on another.

First order: the gradient of the validation loss where the weights are now. Second order (the paper's equations 6 to 8):
where the weights would be after one more step of plain gradient descent at the rate ``xi``,

    ∇α L_val(w', α) - xi ∇²α,w L_train(w, α) ∇w' L_val(w', α),    w' = w - xi ∇w L_train(w, α)

with the product of Hessian and vector v as a difference of two gradients at w ± εv, ε = 0.01 / |v|. Where the mixing
draws, all four losses are under the same draw: those of different paths have no difference to speak of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hwnas.search.gradient.drawn import Drawing
from hwnas.search.gradient.logits import Expected, Learned
from hwnas.search.gradient.step import Batch, LatencyBudget, Loss
from hwnas.spaces.relaxed import Probabilities
from hwnas.supernet.mixing import Mixing, softmax
from hwnas.supernet.relaxed import NothingLeft
from hwnas.training.checkpoint import Part, part_of_optimizer
from hwnas.training.loop import DivergedError

if TYPE_CHECKING:
    from torch.optim import Optimizer

EPSILON = 0.01
"""Of the finite difference, as in the paper."""
REDRAWS = 100


def first_order(
    loss_of: Loss, logits: Learned, mixing: Mixing, val: Batch, parameters: Sequence[nn.Parameter] = ()
) -> tuple[list[Tensor], Tensor]:
    """(∇α L_val(w, α), the loss). For ``parameters``, the weights, nothing is computed and nothing is kept."""
    with frozen(parameters):
        loss = under(loss_of, logits, mixing, val)
        return _gradients(loss, list(logits.parameters())), loss.detach()


def second_order(
    loss_of: Loss,
    logits: Learned,
    mixing: Mixing,
    parameters: Sequence[nn.Parameter],
    train: Batch,
    val: Batch,
    xi: float,
) -> tuple[list[Tensor], Tensor]:
    """(the paper's approximate gradient of α, L_val(w', α)). The weights are as before afterwards."""
    alphas = list(logits.parameters())
    at = same_draws(lambda batch: under(loss_of, logits, mixing, batch))
    forward = _gradients(at(train), parameters)
    with _moved(parameters, forward, -xi):
        loss = at(val)
        both = _gradients(loss, [*alphas, *parameters])
    direct, vector = both[: len(alphas)], both[len(alphas) :]
    product = hessian_vector(lambda: at(train), alphas, parameters, vector)
    return [own - xi * other for own, other in zip(direct, product, strict=True)], loss.detach()


def under(loss_of: Loss, logits: Learned, mixing: Mixing, batch: Batch, *, learned: bool = True) -> Tensor:
    """The loss under the weights that ``mixing`` makes of the logits, as constants unless they are ``learned``.

    A draw of paths that leaves nothing of the network (``none`` on all edges into a cell) is drawn again.
    """

    def weights() -> Mapping[str, Tensor]:
        found = logits.weights(mixing)
        return found if learned else {name: weight.detach() for name, weight in found.items()}

    for _ in range(REDRAWS):
        with suppress(NothingLeft):
            return loss_of(weights(), batch)
    return loss_of(weights(), batch)


def same_draws(loss: Callable[[Batch], Tensor]) -> Callable[[Batch], Tensor]:
    """``loss`` with the same random numbers at every call."""
    state = torch.get_rng_state()

    def again(batch: Batch) -> Tensor:
        torch.set_rng_state(state)
        return loss(batch)

    return again


def hessian_vector(
    loss: Callable[[], Tensor], of: Sequence[Tensor], by: Sequence[nn.Parameter], vector: Sequence[Tensor]
) -> list[Tensor]:
    """∇²of,by loss · ``vector``, by a central difference of gradients; ``by`` is moved and put back."""
    norm = float(torch.sqrt(sum((part.square().sum() for part in vector), start=torch.zeros(()))))
    if norm == 0:
        return [torch.zeros_like(tensor) for tensor in of]
    epsilon = EPSILON / norm
    with _moved(by, vector, epsilon):
        above = _gradients(loss(), of)
    with _moved(by, vector, -epsilon):
        below = _gradients(loss(), of)
    return [(a - b) / (2 * epsilon) for a, b in zip(above, below, strict=True)]


def _gradients(loss: Tensor, of: Sequence[Tensor]) -> list[Tensor]:
    """Zeros for what the loss does not depend on (a branch that was not computed)."""
    if not loss.requires_grad:
        return [torch.zeros_like(tensor) for tensor in of]
    found = torch.autograd.grad(loss, list(of), allow_unused=True)
    return [torch.zeros_like(tensor) if part is None else part for part, tensor in zip(found, of, strict=True)]


@contextmanager
def frozen(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Inside, ``parameters`` require no gradient."""
    required = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in required:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in required:
            parameter.requires_grad_(True)


@contextmanager
def _moved(parameters: Sequence[Tensor], direction: Sequence[Tensor], by: float) -> Iterator[None]:
    """Inside, the parameters are ``by`` times the direction further on. They are put back bit by bit."""
    before = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        torch._foreach_add_(list(parameters), list(direction), alpha=by)
    try:
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_(list(parameters), before)


class Bilevel:
    """A step: the logits by Adam on the validation batch, then the weights' gradients on the training batch.

    ``learn_from``: the fraction of the budget after which the logits are learned; before, only weights are (0 in
    DARTS). ``order`` 2 takes ``rate``, the weights' present learning rate, for xi. ``expected_ms`` and ``budget`` add
    the budget's penalty to the logits' loss. ``weights_mixing``, where it is not ``mixing``, is what the weights are
    trained under. ``drawn`` are the choices that cannot be mixed (:attr:`RelaxedNetwork.drawn`; the logits give their
    softmax). ``backward`` is a fabric's, where it scales gradients.
    """

    def __init__(
        self,
        loss_of: Loss,
        logits: Learned,
        parameters: Iterable[nn.Parameter],
        *,
        optimizer: Optimizer | None = None,
        mixing: Mixing = softmax,
        weights_mixing: Mixing | None = None,
        order: int = 1,
        rate: Callable[[], float] | None = None,
        learn_from: float = 0.0,
        expected_ms: Expected | None = None,
        budget: LatencyBudget | None = None,
        drawn: Sequence[str] = (),
        backward: Callable[[Tensor], object] = torch.Tensor.backward,
    ) -> None:
        assert order in (1, 2)
        assert order == 1 or rate is not None
        self.drawing = Drawing(loss_of, logits, drawn) if drawn else None
        self.loss_of: Loss = self.drawing or loss_of
        self.logits, self.mixing = logits, mixing
        self.weights_mixing = weights_mixing or mixing
        self.parameters = list(parameters)
        self.optimizer = optimizer or alpha_optimizer(logits)
        self.order, self.rate, self.learn_from = order, rate, learn_from
        self.expected_ms, self.budget = expected_ms, budget
        self.backward = backward
        self.fraction = 0.0

    finished = False

    def begin(self, fraction: float) -> None:
        self.fraction = fraction

    def step(self, train: Batch, val: Batch) -> dict[str, float]:
        figures: dict[str, float] = {}
        if self.fraction >= self.learn_from:
            figures.update(self._learn(train, val))
        loss = under(self.loss_of, self.logits, self.weights_mixing, train, learned=False)
        self.backward(loss)
        return {"loss": float(loss.detach()), **figures}

    def relaxation(self) -> Probabilities:
        return self.logits.probabilities()

    def parts(self) -> dict[str, Part]:
        parts = {
            "relaxation": Part(self.logits.state_dict, self.logits.load_state_dict),
            "relaxation_optimizer": part_of_optimizer(self.optimizer),
        }
        if self.budget is not None:
            parts.update({f"budget_{name}": part for name, part in self.budget.parts().items()})
        if self.drawing is not None:
            parts["drawn"] = self.drawing.part()
        return parts

    def _learn(self, train: Batch, val: Batch) -> dict[str, float]:
        """One update of the logits."""
        if self.order == 1:
            gradients, loss = first_order(self.loss_of, self.logits, self.mixing, val, self.parameters)
        else:
            assert self.rate is not None
            gradients, loss = second_order(
                self.loss_of, self.logits, self.mixing, self.parameters, train, val, self.rate()
            )
        figures = {"val_loss": float(loss)}
        if self.drawing is not None:
            self._add(gradients, self.drawing.score(float(loss)))
        figures.update(self._constrain(gradients))
        before = self.logits.state_dict()
        for vector, gradient in zip(self.logits.parameters(), gradients, strict=True):
            vector.grad = gradient
        self.optimizer.step()
        if not self.logits.finite():
            self.logits.load_state_dict(before)
            raise DivergedError(
                "the relaxation diverged: a logit is no longer finite", "lower the learning rates, of weights or logits"
            )
        return figures

    def _constrain(self, gradients: Sequence[Tensor]) -> dict[str, float]:
        """Add the gradient of the budget's penalty, in place."""
        if self.expected_ms is None:
            return {}
        expected = self.expected_ms(self.logits.weights())
        number = float(expected.detach())
        if self.budget is not None:
            penalty = self.budget.penalty(expected)
            if penalty.requires_grad:
                self._add(gradients, penalty)
            self.budget.update(number)
        return {"expected_ms": number}

    def _add(self, gradients: Sequence[Tensor], value: Tensor) -> None:
        """Add the gradient of ``value``, in place."""
        for mine, more in zip(gradients, _gradients(value, list(self.logits.parameters())), strict=True):
            mine.add_(more)


def alpha_optimizer(logits: Learned, *, lr: float = 3e-4, weight_decay: float = 1e-3) -> Optimizer:
    """DARTS's: Adam with momenta 0.5 and 0.999."""
    return torch.optim.Adam(list(logits.parameters()), lr=lr, betas=(0.5, 0.999), weight_decay=weight_decay)
