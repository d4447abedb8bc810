"""Relaxed spaces: what a gradient method learns instead of decisions.

A relaxation is a set of soft choices over the gates of a supergraph; they may differ from the space's own, discrete
choices, as DARTS's 14 edges with 8 ops do from its answer of 2 edges with 7 ops a node. Three ways lead between them:

- :meth:`RelaxedSpace.embed`: decisions → the options of the soft choices that mean exactly the same network;
- :meth:`RelaxedSpace.derive`: learned probabilities → decisions, by the rule of the paper;
- :meth:`RelaxedSpace.choice_probabilities`: learned probabilities → independent distributions over the space's own
  choices. That is the distribution over *genotypes* that the relaxation is taken to mean: its expected latency is exact
  (:meth:`hwnas.latency.population.PopulationModel.expected_ms`), and :func:`sample_from` draws from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from hwnas.errors import HwnasError
from hwnas.ir.odds import Weights
from hwnas.ir.opgraph import OpGraph
from hwnas.shapes import Shape, Value
from hwnas.spaces.base import SPACES, Choice, Decisions, SearchSpace
from hwnas.spaces.decisions import canonical, is_active

if TYPE_CHECKING:
    from torch import Tensor

Probabilities = Mapping[str, np.ndarray]
"""Soft choice → a probability for each of its options, shape (options,)."""


class RelaxedSpace(SearchSpace, Protocol):
    """A space with a supergraph and soft choices on it; see the module's docstring."""

    @property
    def relaxation(self) -> Sequence[Choice]:
        """The soft choices, by whose names a method shares its parameters."""

    def supergraph(self, input_shape: Shape, classes: int) -> OpGraph:
        """All networks of the space in one op graph, with gates over the soft choices."""

    def embed(self, decisions: Decisions) -> dict[str, Value]:
        """Soft choice → the option under which the supergraph is the network of ``decisions``; every one is there."""

    def derive(self, probabilities: Probabilities) -> dict[str, Value]:
        """The canonical decisions that the relaxation has led to."""

    def choice_probabilities(self, probabilities: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A distribution over the options of each of the space's own choices, drawn independently; differentiable."""


def relaxed(space: SearchSpace) -> RelaxedSpace:
    """``space`` if it has a relaxation; else an HwnasError that says which spaces have one."""
    if not has_relaxation(space):
        having = [name for name in SPACES.names() if has_relaxation(SPACES.get(name))]
        raise HwnasError(
            f"the space {space.name} has no relaxation, so gradients cannot search it",
            f"spaces that have one: {', '.join(having)}; or search {space.name} with --strategy",
        )
    return cast("RelaxedSpace", space)


def has_relaxation(space: SearchSpace) -> bool:
    """Whether ``space`` is a :class:`RelaxedSpace`."""
    return all(hasattr(space, name) for name in ("relaxation", "supergraph", "embed", "derive", "choice_probabilities"))


def sample_from(
    space: RelaxedSpace, probabilities: Mapping[str, Tensor] | Probabilities, rng: np.random.Generator
) -> dict[str, Value]:
    """Canonical decisions drawn from what ``probabilities`` over the soft choices mean."""
    return sampler_of(space, probabilities)(rng)


def sampler_of(
    space: RelaxedSpace, probabilities: Mapping[str, Tensor] | Probabilities
) -> Callable[[np.random.Generator], dict[str, Value]]:
    """:func:`sample_from` for many draws: the distributions are made once."""
    import torch

    tensors = {name: torch.as_tensor(vector, dtype=torch.float64).detach() for name, vector in probabilities.items()}
    meant = {name: np.cumsum(vector.numpy()) for name, vector in space.choice_probabilities(tensors).items()}

    def draw(rng: np.random.Generator) -> dict[str, Value]:
        drawn: dict[str, Value] = {}
        for choice in space.choices:
            if is_active(choice, drawn):
                edges = meant[choice.name]
                place = int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))
                drawn[choice.name] = choice.options[min(place, len(choice.options) - 1)]
        return drawn

    return draw


def one_hot(choices: Sequence[Choice], options: Mapping[str, Value]) -> dict[str, np.ndarray]:
    """Weight 1 for the option of each choice, 0 for the others; all 0 for a choice that ``options`` lacks."""
    return {
        choice.name: np.array(
            [float(choice.name in options and options[choice.name] == option) for option in choice.options]
        )
        for choice in choices
    }


def uniform(choices: Sequence[Choice]) -> dict[str, np.ndarray]:
    """Equal probabilities."""
    return {choice.name: np.full(len(choice.options), 1 / len(choice.options)) for choice in choices}


def by_option(choices: Sequence[Choice], weights: Mapping[str, Tensor] | Probabilities) -> Weights:
    """``weights`` as :func:`hwnas.ir.odds.probability` takes them: choice → option → weight."""
    return {
        choice.name: dict(zip(choice.options, weights[choice.name], strict=True))
        for choice in choices
        if choice.name in weights
    }


def most_probable(space: RelaxedSpace, probabilities: Probabilities) -> dict[str, Value]:
    """The likeliest option of every choice of what ``probabilities`` mean, canonical; the first of equals."""
    import torch

    tensors = {name: torch.as_tensor(vector, dtype=torch.float64) for name, vector in probabilities.items()}
    meant = space.choice_probabilities(tensors)
    likeliest = {choice.name: choice.options[int(meant[choice.name].argmax())] for choice in space.choices}
    return canonical(space, likeliest)


def shares(weights: Tensor) -> Tensor:
    """``weights`` scaled to a sum of 1; equal shares where all are 0."""
    safe = weights + (weights.detach().sum() == 0).to(weights.dtype)
    return safe / safe.sum()


def own_options(choices: Sequence[Choice], decisions: Decisions) -> dict[str, Value]:
    """:meth:`RelaxedSpace.embed` where the soft choices are the space's own: those not active say nothing."""
    return {choice.name: decisions.get(choice.name, choice.options[0]) for choice in choices}
