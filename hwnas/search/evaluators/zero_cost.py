"""Zero-cost scores: how good an untrained network may become, from one pass. Higher is said to be better.

They are cheap and often wrong: whether one ranks *this* space on *this* data is measured by ``hwnas proxy-study
--zero-cost``, and a search uses none without that measurement.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from hwnas.compiler.cost import cost_of
from hwnas.compiler.network import Network, compile_graph
from hwnas.ir.opgraph import OpGraph
from hwnas.registry import Registry

if TYPE_CHECKING:
    from hwnas.training.losses import Loss


@dataclass(frozen=True)
class Probe:
    """What scores may look at: an untrained network's graph, images (N, 3, H, W), their labels, a loss and a seed."""

    graph: OpGraph
    images: Tensor
    masks: Tensor
    loss: Loss
    seed: int = 0

    def network(self) -> Network:
        """The network with its first weights; always the same ones."""
        return compile_graph(self.graph, seed=self.seed)


ZeroCost = Callable[[Probe], float]
ZERO_COST: Registry[ZeroCost] = Registry("zero-cost score", "hwnas.search.evaluators")


def params(probe: Probe) -> float:
    """The number of parameters: what a score has to beat."""
    return float(cost_of(probe.graph).params)


def macs(probe: Probe) -> float:
    """The number of multiply-accumulates: the other one to beat."""
    return float(cost_of(probe.graph).macs)


def synflow(probe: Probe) -> float:
    """log of the sum of w · ∂R/∂w over all weights, R the sum of the outputs for an image of ones, all weights made
    positive, BatchNorm as at its start (arXiv 2006.05467; as a score of networks arXiv 2101.08134).

    In double precision: products over many layers overflow single.
    """
    network = probe.network().double().eval()
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.abs_()
    ones = torch.ones(1, *probe.images.shape[1:], dtype=torch.float64)
    weights = [weight for weight in network.parameters() if weight.ndim > 1]
    gradients = torch.autograd.grad(network(ones).sum(), weights, allow_unused=True)
    total = sum(float((w.detach() * g).sum()) for w, g in zip(weights, gradients, strict=True) if g is not None)
    return math.log(total) if total > 0 else -math.inf


def naswot(probe: Probe) -> float:
    """log |det K|, K the number of ReLUs on which two images of the batch agree to be on or off (arXiv 2006.04647)."""
    network = probe.network().train()
    watch = _Activations(len(probe.images))
    with torch.no_grad(), watch:
        network(probe.images)
    sign, logarithm = torch.linalg.slogdet(watch.kernel)
    return float(logarithm) if float(sign) > 0 else -math.inf


class _Activations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts, for every pair of images, the activations on which both are on or both are off."""

    OPS = tuple(getattr(torch.ops.aten, name) for name in ("relu", "relu_", "hardtanh", "hardtanh_", "hardswish_"))
    """What ReLU, ReLU6 and h-swish are to the dispatcher, wherever in a module they are called."""

    def __init__(self, count: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._count = count
        self.kernel = torch.zeros(count, count, dtype=torch.float64)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if func.overloadpacket in self.OPS:
            codes = (output > 0).reshape(self._count, -1).float()
            self.kernel += (codes @ codes.T + (1 - codes) @ (1 - codes).T).double()
        return output


def gradnorm(probe: Probe) -> float:
    """The Euclidean norm of the loss's gradient on one batch (arXiv 2101.08134)."""
    return math.sqrt(sum(float((gradient**2).sum()) for _, gradient in _gradients(probe)))


def snip(probe: Probe) -> float:
    """The sum of |w · ∂L/∂w| over all weights, on one batch (arXiv 1810.02340)."""
    return sum(float((weight * gradient).abs().sum()) for weight, gradient in _gradients(probe))


def _gradients(probe: Probe) -> list[tuple[Tensor, Tensor]]:
    network = probe.network().train()
    weights = [weight for weight in network.parameters() if weight.ndim > 1]
    outputs = network(probe.images)
    logits = outputs[0] if isinstance(outputs, tuple) else outputs
    gradients = torch.autograd.grad(probe.loss(logits, probe.masks), weights, allow_unused=True)
    return [
        (weight.detach(), gradient) for weight, gradient in zip(weights, gradients, strict=True) if gradient is not None
    ]


for _score in (params, macs, synflow, naswot, gradnorm, snip):
    ZERO_COST.register(_score.__name__, _score)
