"""The parameters of a relaxation: logits over the options of every soft choice (DARTS's α)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from hwnas.errors import RunError
from hwnas.spaces.base import Choice
from hwnas.spaces.relaxed import Probabilities
from hwnas.supernet.mixing import Mixing, softmax


class Learned(Protocol):
    """Parameters that make logits of the soft choices: :class:`Logits` themselves, or a model of them."""

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def weights(self, mixing: Mixing = softmax) -> dict[str, Tensor]: ...

    def probabilities(self, mixing: Mixing = softmax) -> Probabilities: ...

    def finite(self) -> bool: ...

    def state_dict(self) -> dict[str, Tensor]: ...

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None: ...


class Logits:
    """One vector of shape (options,) for each choice, near 0: all options begin almost equal.

    Choices of one name are one choice, wherever the supergraph reads it: so cells share. Those in ``soft`` have their
    softmax for weights, whatever the mixing.
    """

    def __init__(
        self,
        choices: Sequence[Choice],
        *,
        seed: int = 0,
        std: float = 1e-3,
        device: torch.device | str = "cpu",
        soft: Collection[str] = (),
    ) -> None:
        self.soft = frozenset(soft)
        generator = torch.Generator().manual_seed(seed)
        self.tensors = {
            choice.name: nn.Parameter((torch.randn(len(choice.options), generator=generator) * std).to(device))
            for choice in choices
        }

    def parameters(self) -> Iterator[nn.Parameter]:
        """The vectors, for an optimizer."""
        return iter(self.tensors.values())

    def weights(self, mixing: Mixing = softmax) -> dict[str, Tensor]:
        """``mixing`` of every vector: what the network takes, differentiable."""
        return {name: self._mixing(name, mixing)(vector) for name, vector in self.tensors.items()}

    def probabilities(self, mixing: Mixing = softmax) -> Probabilities:
        """The same as arrays, float64."""
        with torch.no_grad():
            return {
                name: self._mixing(name, mixing)(vector.double()).cpu().numpy() for name, vector in self.tensors.items()
            }

    def _mixing(self, name: str, mixing: Mixing) -> Mixing:
        return softmax if name in self.soft else mixing

    def finite(self) -> bool:
        """Whether every logit is a number."""
        return all(bool(torch.isfinite(vector).all()) for vector in self.tensors.values())

    def state_dict(self) -> dict[str, Tensor]:
        """Copies by choice."""
        return {name: vector.detach().clone() for name, vector in self.tensors.items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy ``tensors`` in; those of other choices or options are a RunError."""
        fits = {name: tuple(vector.shape) for name, vector in self.tensors.items()}
        if fits != {name: tuple(vector.shape) for name, vector in tensors.items()}:
            raise RunError("the saved relaxation is of another space", "start a new run directory")
        with torch.no_grad():
            for name, vector in self.tensors.items():
                vector.copy_(tensors[name])


Expected = Callable[[Mapping[str, Tensor]], Tensor]
"""Weights of the soft choices → expected latency in milliseconds, a scalar, differentiable."""
