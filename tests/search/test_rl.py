"""The controller is a distribution over decisions, learns what is rewarded, and is restored exactly."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from toy_space import ToySpace, evaluate, toy_problem

from hwnas.errors import HwnasError
from hwnas.search.controller.lstm import Controller
from hwnas.search.controller.policy_gradient import Hyper, Learner
from hwnas.search.rl import STEEPEST, ControllerSearch, advantages_of
from hwnas.search.strategy import Outcome
from hwnas.spaces.base import SPACES, Choice

CHOICES = (
    Choice("a", (0, 1)),
    Choice("b", ("x", "y", "z"), {"a": (1,)}),
    Choice("c", (0, 1), {"b": ("x", "z")}),
    Choice("d", (0, 1)),
)


def learner(algorithm: str = "ppo", seed: int = 0) -> Learner:
    hyper = Hyper(algorithm, learning_rate=0.02, epochs=4, clip=0.2, entropy=0.01)
    return Learner(Controller(CHOICES, hidden=8, seed=seed), hyper)


def every_row() -> torch.Tensor:
    """Each canonical setting once; entries of inactive choices are 0."""
    rows = set()
    for a, b, c, d in itertools.product(range(2), range(3), range(2), range(2)):
        rows.add((a, b if a else 0, c if a and b != 1 else 0, d))
    return torch.tensor(sorted(rows))


def test_probabilities_of_all_decisions_add_up_to_1() -> None:
    rows = every_row()
    assert len(rows) == 2 + 2 * 5
    total = learner().controller(rows).log_probabilities.sum(1).exp().sum()
    assert total.item() == pytest.approx(1.0, abs=1e-6)


def test_inactive_choices_change_nothing() -> None:
    controller = learner().controller
    plain, filled = torch.tensor([[0, 0, 0, 1]]), torch.tensor([[0, 2, 1, 1]])
    for name in ("log_probabilities", "entropies", "active"):
        assert torch.equal(getattr(controller(plain), name), getattr(controller(filled), name))
    assert controller(filled).active.tolist() == [[True, False, False, True]]


def test_samples_follow_the_probabilities() -> None:
    controller, rows = learner(seed=3).controller, every_row()
    drawn = controller.sample(torch.rand(4000, 4, generator=torch.Generator().manual_seed(0))).rows
    shares = torch.stack([(drawn == row).all(1).float().mean() for row in rows])
    assert shares.sum() == pytest.approx(1.0)
    expected = controller(rows).log_probabilities.sum(1).exp()
    assert (shares - expected).abs().max() < 0.03


@pytest.mark.parametrize("algorithm", ["ppo", "reinforce"])
def test_what_is_better_than_expected_becomes_more_probable(algorithm: str) -> None:
    made, rows = learner(algorithm), every_row()
    before = made.controller(rows).log_probabilities.sum(1).exp().detach()
    advantages = torch.where(rows[:, 0] == 1, 1.0, -1.0)
    for _ in range(10):
        made.update(rows, advantages)
    after = made.controller(rows).log_probabilities.sum(1).exp().detach()
    assert after[rows[:, 0] == 1].sum() > 0.15 + before[rows[:, 0] == 1].sum()


def test_ppo_goes_no_further_than_its_clip_in_one_batch() -> None:
    """Ten epochs of REINFORCE on one batch would go on; PPO's gain is flat beyond its clip."""
    made, rows = learner(), every_row()[:2]
    before = made.controller(rows).log_probabilities.detach()
    for _ in range(1):
        made.update(rows, torch.tensor([1.0, -1.0]))
    ratio = (made.controller(rows).log_probabilities.detach() - before).exp()
    assert ratio[ratio != 1].min() > 0.5 and ratio.max() < 1.6


def test_a_learner_is_restored_exactly() -> None:
    first, second = learner(seed=1), learner(seed=2)
    rows, advantages = every_row(), torch.linspace(-1, 1, 12)
    first.update(rows, advantages)
    second.restore(json.loads(json.dumps(first.state())))
    for made in (first, second):
        made.update(rows, -advantages)
    states = [made.state()["safetensors"] for made in (first, second)]
    assert states[0] == states[1]


def test_it_learns_after_every_batch_and_failures_get_the_lowest_reward() -> None:
    strategy = ControllerSearch(toy_problem(), seed=0, batch=3, hidden=4)
    untouched = strategy.state()["controller"]
    requests = strategy.ask(4)
    strategy.tell([Outcome(requests[0], status="failed")])
    assert strategy.state()["collected"] == []  # nothing to compare it with yet
    strategy.tell([evaluate(requests[1]), Outcome(requests[2], status="failed")])
    collected = strategy.state()["collected"]
    assert [each["reward"] for each in collected] == [evaluate(requests[1]).values["miou"]] * 2
    assert strategy.state()["controller"] == untouched
    strategy.tell([evaluate(requests[3])])
    assert strategy.state()["controller"] != untouched and strategy.state()["collected"] == []


def test_advantages_are_in_spreads_of_the_batch_and_bounded() -> None:
    rewards = np.array([0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(advantages_of(rewards, 0.25), (rewards - 0.25) / rewards.std())
    assert advantages_of(np.full(8, 0.2), 0.5).tolist() == [-STEEPEST] * 8
    assert np.abs(advantages_of(np.full(8, 0.3), 0.1 + 0.2)).max() < 1e-6, "rounding is no difference"
    assert advantages_of(np.zeros(8), 0.0).tolist() == [0.0] * 8


def test_it_goes_on_learning_after_a_batch_of_equal_rewards() -> None:
    """Such a batch once filled Adam's second moment, and all that came later moved nothing."""
    strategy = ControllerSearch(toy_problem(), seed=0, batch=4, hidden=4)

    def learned(rewards: list[float]) -> float:
        before = torch.cat([p.detach().flatten() for p in strategy._learner.controller.parameters()])
        strategy.tell([Outcome(request, {"miou": r}) for request, r in zip(strategy.ask(4), rewards, strict=True)])
        after = torch.cat([p.detach().flatten() for p in strategy._learner.controller.parameters()])
        return float((after - before).abs().mean())

    first = learned([0.1, 0.2, 0.3, 0.4])
    learned([0.0] * 4)
    later = [learned([0.1, 0.2, 0.3, 0.4]) for _ in range(10)]
    assert later[-1] > first / 4


@pytest.mark.parametrize("name", ["nasnet", "auxcells", "darts", "dpc"])
def test_it_serves_the_spaces_of_the_literature(name: str) -> None:
    from hwnas.search.objective import Objective
    from hwnas.search.problem import Problem

    problem = Problem(SPACES.get(name), Objective())
    strategy = ControllerSearch(problem, seed=0, batch=2, hidden=4, epochs=1)
    for _ in range(2):
        requests = strategy.ask(2)
        assert len(requests) == 2
        strategy.tell([Outcome(request, {"miou": request.id / 10}) for request in requests])


@pytest.mark.parametrize("options", [{"algorithm": "dqn"}, {"batch": 1}, {"clip": 0.0}, {"baseline": 1.0}])
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(HwnasError, match="rl"):
        ControllerSearch(toy_problem(), seed=0, **options)  # type: ignore[arg-type]


def test_the_toy_space_has_a_conditional_choice() -> None:
    """That the contract suite tries what is tested here."""
    assert any(choice.active_if for choice in ToySpace().choices)
