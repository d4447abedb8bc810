"""How a controller learns from rewards: PPO's clipped surrogate, or REINFORCE; both with an entropy bonus.

Schulman et al., "Proximal policy optimization algorithms", arXiv 1707.06347; Williams, "Simple statistical
gradient-following algorithms for connectionist reinforcement learning", 1992.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from hwnas.search.controller.lstm import Controller, Steps


@dataclass(frozen=True)
class Hyper:
    """How it learns. ``epochs`` passes over a batch with PPO; REINFORCE makes one."""

    algorithm: str
    learning_rate: float
    epochs: int
    clip: float
    entropy: float


class Learner:
    """A controller and its optimiser (Adam)."""

    def __init__(self, controller: Controller, hyper: Hyper) -> None:
        self.controller = controller
        self.hyper = hyper
        self._optimizer = torch.optim.Adam(controller.parameters(), lr=hyper.learning_rate)

    def update(self, rows: Tensor, advantages: Tensor) -> None:
        """One batch: rows (N, choices) and how much better than expected each was, (N,).

        The policy that PPO's ratios are of is the one at this moment: in a search of one evaluation at a time it is
        the one that drew the rows.
        """
        with torch.no_grad():
            old = self.controller(rows)
        ppo = self.hyper.algorithm == "ppo"
        for _ in range(self.hyper.epochs if ppo else 1):
            new = self.controller(rows)
            gain = self._clipped(new, old, advantages) if ppo else _reinforce(new, advantages)
            bonus = self.hyper.entropy * _mean(new.entropies, new.active)
            self._optimizer.zero_grad()
            (-gain - bonus).backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()

    def _clipped(self, new: Steps, old: Steps, advantages: Tensor) -> Tensor:
        ratio = (new.log_probabilities - old.log_probabilities).exp()
        clipped = ratio.clamp(1 - self.hyper.clip, 1 + self.hyper.clip)
        worst = torch.minimum(ratio * advantages[:, None], clipped * advantages[:, None])
        return _mean(worst, new.active)

    def state(self) -> dict[str, Any]:
        """Weights and moments, as base64 of a safetensors file; JSON-ready."""
        tensors = {f"weight.{name}": value for name, value in self.controller.state_dict().items()}
        for index, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        tensors = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
        return {"safetensors": base64.b64encode(safetensors.torch.save(tensors)).decode()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Exactly what :meth:`state` was of."""
        tensors = safetensors.torch.load(base64.b64decode(state["safetensors"]))
        weights = {name.removeprefix("weight."): t for name, t in tensors.items() if name.startswith("weight.")}
        self.controller.load_state_dict(weights)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("adam."):
                _, index, moment = name.split(".", 2)
                moments.setdefault(int(index), {})[moment] = tensor
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})


def _reinforce(new: Steps, advantages: Tensor) -> Tensor:
    return _mean(new.log_probabilities * advantages[:, None], new.active)


def _mean(values: Tensor, active: Tensor) -> Tensor:
    return (values * active).sum() / active.sum().clamp(min=1)
