"""The weights of one forward pass of a relaxed network: of every gate, and of the options of open parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hwnas.errors import HwnasError
from hwnas.ir.gates import Gate, choices_of
from hwnas.ir.node import Node
from hwnas.ir.odds import Odds
from hwnas.shapes import Value
from hwnas.spaces.base import Choice

Weights = Mapping[str, Tensor]
"""Soft choice → a weight for each of its options, shape (options,)."""


@dataclass(frozen=True)
class Mixture:
    """``gates``: gate → (its weight as a number, and as a tensor unless it is a 1 that needs no gradient).

    ``options``: choice → (its options with their weights as numbers, these as one tensor).
    """

    gates: Mapping[Gate, tuple[float, Tensor | None]]
    options: Mapping[str, tuple[list[tuple[Value, float]], Tensor]]

    @classmethod
    def of(cls, choices: Iterable[Choice], gates: Iterable[Gate], weights: Weights) -> Mixture:
        """HwnasError for a choice without weights, or with too many or few."""
        options: dict[str, tuple[list[tuple[Value, float]], Tensor]] = {}
        for choice in choices:
            vector = _vector(choice, weights)
            options[choice.name] = (list(zip(choice.options, vector.tolist(), strict=True)), vector)
        numbers, tensors = _odds(options)
        mixed: dict[Gate, tuple[float, Tensor | None]] = {}
        for gate in gates:
            number = float(numbers.of(gate))
            soft = any(options[name][1].requires_grad for name in choices_of(gate))
            weight = tensors.of(gate) if number and (soft or number != 1.0) else None
            mixed[gate] = (number, weight if isinstance(weight, Tensor) else None)
        return cls(mixed, options)

    @property
    def closed(self) -> frozenset[Gate]:
        """The gates whose weight is exactly 0."""
        return frozenset(gate for gate, (number, _) in self.gates.items() if number == 0)

    def of_input(self, node: Node, slot: int) -> Tensor | None:
        """The weight of a node's input; None where it is simply there."""
        return self.gates[node.gates[slot]][1] if slot in node.gates else None

    def parameters(self, node: Node) -> tuple[Mapping[str, Value], Tensor | None]:
        """The node's parameters, its width the widest that has a weight, and a weight (channels,) for each channel.

        The latter is None where it is 1. HwnasError where other parameters than the width would have to be mixed.
        """
        if not node.open:
            return node.params, None
        params, mask = dict(node.params), None
        for name, select in node.open.items():
            pairs, vector = self.options[select.choice]
            of_option = dict(select.values)
            live = [(place, of_option[option]) for place, (option, weight) in enumerate(pairs) if weight]
            if not live or (name != "channels" and len({value for _, value in live}) > 1):
                raise HwnasError(
                    f"node {node.name!r} ({node.op}): the choice {select.choice!r} decides {name!r}, "
                    + ("which cannot be mixed" if live else "and none of its options has a weight"),
                    "give all the weight to one of its options: sample paths",
                )
            params[name] = max((value for _, value in live), key=lambda value: float(str(value)) if live[1:] else 0.0)
            if name == "channels" and (len(live) > 1 or vector.requires_grad or pairs[live[0][0]][1] != 1.0):
                mask = _channel_weights(vector, [(place, int(str(value))) for place, value in live])
        return params, mask


def _odds(options: Mapping[str, tuple[list[tuple[Value, float]], Tensor]]) -> tuple[Odds, Odds]:
    """What gates weigh, as numbers and as tensors."""
    of_choice = {name: tuple(option for option, _ in pairs) for name, (pairs, _) in options.items()}
    numbers = {name: dict(pairs) for name, (pairs, _) in options.items()}
    places = {name: {option: i for i, option in enumerate(found)} for name, found in of_choice.items()}

    def total(choice: str, some: tuple[Value, ...]) -> Tensor:
        vector = options[choice][1]
        if len(some) == 1:
            return vector[places[choice][some[0]]]
        return vector[[places[choice][option] for option in some]].sum()

    return Odds(of_choice, lambda choice, some: sum(numbers[choice][option] for option in some)), Odds(of_choice, total)


def _channel_weights(vector: Tensor, live: list[tuple[int, int]]) -> Tensor:
    """(channels,): each channel's weight is that of all widths that have it. ``live``: (place in ``vector``, width)."""
    places = torch.tensor([place for place, _ in live], device=vector.device)
    widths = torch.tensor([width for _, width in live], device=vector.device)
    has = torch.arange(int(widths.max()), device=vector.device) < widths[:, None]
    return vector.index_select(0, places) @ has.to(vector.dtype)


def _vector(choice: Choice, weights: Weights) -> Tensor:
    if choice.name not in weights:
        raise HwnasError(f"the relaxed network needs weights for the choice {choice.name!r}")
    vector = weights[choice.name]
    if vector.shape != (len(choice.options),):
        raise HwnasError(
            f"the choice {choice.name!r} has {len(choice.options)} options, and weights of shape {[*vector.shape]}"
        )
    return vector
