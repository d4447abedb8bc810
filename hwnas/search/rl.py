"""``rl``: NASNet's controller, an LSTM that learns by PPO (or REINFORCE) to predict good decisions, choice by choice.

Zoph et al., "Learning transferable architectures for scalable image recognition", CVPR 2018. Theirs had 100 units and
learned from 20,000 trained networks, 20 a minibatch, with a learning rate of 0.00035, an entropy bonus of 0.00001 and a
moving-average baseline of weight 0.95. The controller of ``auxcells`` (Nekrasov et al., CVPR 2019,
github.com/DrSleep/nas-segm-pytorch) made one pass after each network over the last 100, with a clip of 0.1, a learning
rate of 0.0001 and no bonus. The defaults here suit some hundreds of evaluations; what else differs is that an advantage
is divided by the spread of its batch, and bounded; that old probabilities are those at the update (nobody knows which
controller drew what, where outcomes come late); and that each outcome is learned from in one batch only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.errors import HwnasError
from hwnas.search.make import one_number
from hwnas.search.problem import Problem, Proposer
from hwnas.search.strategy import STRATEGIES, Outcome, Request, decisions_from_json
from hwnas.shapes import Value
from hwnas.spaces.base import Decisions
from hwnas.spaces.decisions import canonical

if TYPE_CHECKING:
    from hwnas.search.controller.policy_gradient import Learner

ALGORITHMS = ("ppo", "reinforce")

STEEPEST = 5.0
"""No advantage is larger; of eight rewards, seven of which are the average, the eighth has 3."""

DRAWS = 32
"""Rows that the controller predicts at once; the first that is new and within the limits is proposed."""
ROUNDS = 6
"""So often it is asked for more; then the nearest row is walked to the budget."""


class ControllerSearch:
    """Learns after every ``batch`` outcomes. The reward is the objective's score; a candidate that failed gets the
    lowest one seen. An advantage is the reward less a moving average of rewards (of weight ``baseline``), divided by
    the batch's spread (:func:`advantages_of`).

    Rejected draws teach nothing, and one that was walked to the budget is learned from as if it had been drawn: the
    policy is one over the whole space, of which the search only ever sees the part within the limits.
    """

    refuses = staticmethod(one_number)

    def __init__(
        self,
        problem: Problem,
        *,
        seed: int,
        algorithm: str = "ppo",
        batch: int = 8,
        epochs: int = 6,
        learning_rate: float = 0.01,
        clip: float = 0.2,
        entropy: float = 0.01,
        baseline: float = 0.9,
        hidden: int = 48,
    ) -> None:
        if algorithm not in ALGORITHMS:
            raise HwnasError(f"rl has no algorithm {algorithm!r}", f"it has: {', '.join(ALGORITHMS)}")
        positive = learning_rate > 0 and clip > 0
        if batch < 2 or epochs < 1 or hidden < 1 or not (positive and entropy >= 0 and 0 <= baseline < 1):
            raise HwnasError(
                "rl cannot run with these options",
                "batch is at least 2, epochs and hidden at least 1, learning_rate and clip above 0, entropy and "
                "baseline from 0 on, baseline below 1",
            )
        self._proposer = Proposer(problem, seed)
        self._hyper: dict[str, Any] = {"algorithm": algorithm, "learning_rate": learning_rate, "epochs": epochs}
        self._hyper |= {"clip": clip, "entropy": entropy}
        self._batch, self._hidden, self._decay = batch, hidden, baseline
        self._learner = self._new_learner()
        self._collected: list[tuple[Decisions, float]] = []
        self._average: float | None = None
        self._worst: float | None = None

    def ask(self, count: int) -> list[Request]:
        return self._proposer.requests(count, self._draw)

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self._proposer.hear(outcome.request)
            score = self._proposer.problem.objective.score(outcome)
            if score is not None:
                self._worst = score if self._worst is None else min(self._worst, score)
            if (reward := score if score is not None else self._worst) is not None:
                self._collected.append((dict(outcome.request.decisions), reward))
            if len(self._collected) == self._batch:
                self._learn()

    def state(self) -> dict[str, Any]:
        return {
            **self._proposer.state(),
            "collected": [{"decisions": dict(decisions), "reward": reward} for decisions, reward in self._collected],
            "average": self._average,
            "worst": self._worst,
            "controller": self._learner.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._proposer.restore(state)
        self._collected = [(decisions_from_json(each["decisions"]), each["reward"]) for each in state["collected"]]
        self._average, self._worst = state["average"], state["worst"]
        self._learner = self._new_learner()
        self._learner.restore(state["controller"])

    def _new_learner(self) -> Learner:
        from hwnas.search.controller.lstm import Controller
        from hwnas.search.controller.policy_gradient import Hyper, Learner

        choices = self._proposer.problem.space.choices
        return Learner(Controller(choices, self._hidden, self._proposer.seed), Hyper(**self._hyper))

    def _draw(self, rng: np.random.Generator) -> dict[str, Value] | None:
        import torch

        space = self._proposer.problem.space
        nearest: tuple[float, Decisions] | None = None
        for _ in range(ROUNDS):
            uniforms = torch.from_numpy(rng.random((DRAWS, len(space.choices)), dtype=np.float32))
            for row in self._learner.controller.sample(uniforms).rows.tolist():
                drawn = canonical(space, {c.name: c.options[i] for c, i in zip(space.choices, row, strict=True)})
                if (accepted := self._proposer.accept(drawn)) is not None:
                    return accepted
                excess = self._proposer.excess(drawn)
                if nearest is None or excess < nearest[0]:
                    nearest = (excess, drawn)
        walked = self._proposer.walk(nearest, rng) if nearest is not None else None
        return walked if walked is not None else self._proposer.sample(rng)

    def _learn(self) -> None:
        """One batch, against the average of all rewards before it."""
        import torch

        rewards = np.array([reward for _, reward in self._collected])
        if self._average is None:
            self._average = float(rewards.mean())
        advantages = advantages_of(rewards, self._average)
        for reward in rewards:
            self._average = self._decay * self._average + (1 - self._decay) * float(reward)
        rows = torch.tensor([self._row(decisions) for decisions, _ in self._collected])
        self._learner.update(rows, torch.tensor(advantages, dtype=torch.float32))
        self._collected = []

    def _row(self, decisions: Decisions) -> list[int]:
        choices = self._proposer.problem.space.choices
        return [choice.options.index(decisions[choice.name]) if choice.name in decisions else 0 for choice in choices]


def advantages_of(rewards: np.ndarray, average: float) -> np.ndarray:
    """How much better than ``average`` each is, in standard deviations of the batch, at most :data:`STEEPEST` of them.

    Equal rewards have no spread: a batch that is worse than the average throughout would else weigh a billion times
    what others do, and Adam's second moment would not forget it for thousands of batches.
    """
    least = max(1e-6 * float(np.abs(rewards).max()), np.finfo(float).tiny)
    spread = max(float(rewards.std()), least)
    return np.clip((rewards - average) / spread, -STEEPEST, STEEPEST)


STRATEGIES.register("rl", ControllerSearch)
