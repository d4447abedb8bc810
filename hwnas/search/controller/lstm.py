"""The controller of the RL strategy: an LSTM that predicts a space's choices one after another.

Zoph and Le, "Neural architecture search with reinforcement learning", ICLR 2017; Zoph et al., "Learning transferable
architectures for scalable image recognition", CVPR 2018: one layer, the option just chosen is embedded and fed back in,
every choice has its own softmax. A choice that is inactive is no step at all: the state stays what it was and its
probability counts for nothing.

Rows are option indices, shape (N, choices), long; entries of inactive choices are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hwnas.spaces.base import Choice

INITIAL = 0.1
"""Weights begin uniform within ± this, as the paper's: choices are nearly uniform at first."""


@dataclass(frozen=True)
class Steps:
    """What a controller says of N rows; all tensors have the shape (N, choices)."""

    rows: Tensor
    active: Tensor
    """Whether the choice was made (boolean)."""
    log_probabilities: Tensor
    """Of the options taken; 0 where inactive."""
    entropies: Tensor
    """In nats; 0 where inactive."""


class Controller(nn.Module):
    """A policy over the decisions of ``choices``, with ``hidden`` units; ``seed`` draws its weights."""

    def __init__(self, choices: Sequence[Choice], hidden: int, seed: int) -> None:
        super().__init__()
        self.sizes = [len(choice.options) for choice in choices]
        self._starts = [sum(self.sizes[:i]) for i in range(len(self.sizes))]
        places = {choice.name: i for i, choice in enumerate(choices)}
        self._conditions = [
            [
                (places[name], torch.tensor([option in wanted for option in choices[places[name]].options]))
                for name, wanted in choice.active_if.items()
            ]
            for choice in choices
        ]
        total = sum(self.sizes)
        self.embedding = nn.Embedding(total + 1, hidden)  # the last one begins
        self.cell = nn.LSTMCell(hidden, hidden)
        self.head = nn.Linear(hidden, total)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-INITIAL, INITIAL, generator=generator)

    @torch.no_grad()
    def sample(self, uniforms: Tensor) -> Steps:
        """Rows drawn from the policy; ``uniforms`` in [0, 1) of shape (N, choices) decide."""
        return self._run(uniforms, drawn=True)

    def forward(self, rows: Tensor) -> Steps:
        """What the policy thinks of ``rows``; differentiable."""
        return self._run(rows, drawn=False)

    def _run(self, given: Tensor, *, drawn: bool) -> Steps:
        count = len(given)
        zeros = torch.zeros(count, self.cell.hidden_size)
        state = zeros, zeros
        token = torch.full((count,), self.embedding.num_embeddings - 1)
        rows: list[Tensor] = []
        actives: list[Tensor] = []
        logs: list[Tensor] = []
        entropies: list[Tensor] = []
        for place, (start, size) in enumerate(zip(self._starts, self.sizes, strict=True)):
            active = self._active(place, rows, actives, count)
            stepped = self.cell(self.embedding(token), state)
            state = _where(active, stepped[0], state[0]), _where(active, stepped[1], state[1])
            part = slice(start, start + size)
            log_softmax = nn.functional.linear(state[0], self.head.weight[part], self.head.bias[part]).log_softmax(1)
            row = _chosen(log_softmax, given[:, place]) if drawn else given[:, place]
            row = torch.where(active, row, 0)
            token = torch.where(active, start + row, token)
            rows.append(row)
            actives.append(active)
            logs.append(log_softmax.gather(1, row[:, None])[:, 0] * active)
            entropies.append(-(log_softmax.exp() * log_softmax).sum(1) * active)
        return Steps(torch.stack(rows, 1), torch.stack(actives, 1), torch.stack(logs, 1), torch.stack(entropies, 1))

    def _active(self, place: int, rows: Sequence[Tensor], actives: Sequence[Tensor], count: int) -> Tensor:
        active = torch.ones(count, dtype=torch.bool)
        for other, wanted in self._conditions[place]:
            active = active & actives[other] & wanted[rows[other]]
        return active


def _where(active: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(active[:, None], new, old)


def _chosen(log_softmax: Tensor, uniforms: Tensor) -> Tensor:
    """The option in whose part of [0, 1) each number lies."""
    ends = log_softmax.exp().cumsum(1)
    return (ends < uniforms[:, None] * ends[:, -1:]).sum(1).clamp(max=log_softmax.shape[1] - 1)
