"""What is one candidate: the same network by other decisions, or the same decisions with others that do not matter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from toy_space import toy_problem

from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.search.objective import Objective
from hwnas.search.problem import Problem, Proposer, by_candidate, candidate_key
from hwnas.search.random_search import RandomSearch
from hwnas.search.run import search
from hwnas.search.strategy import Outcome, Request
from hwnas.search.study import open_study
from hwnas.shapes import Value
from hwnas.spaces.base import Candidate, Choice, Decisions

OPS = ("conv_1x1", "conv_3x3", "ds_conv_3x3")


class Sums:
    """The sum of two ops of the input: either order is the same network. Six networks by nine decisions."""

    name = "sums"
    choices: Sequence[Choice] = (Choice("left", OPS), Choice("right", OPS))

    def decode(self, decisions: Decisions) -> Candidate:
        nodes = [Node(side, str(decisions[side]), ("x",)) for side in ("left", "right")]
        cell = Cell.of(["x"], [*nodes, Node("sum", "add", ("left", "right"))], "sum")
        return Candidate(Genotype("sums", "plain", {"cell": cell}))

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        return {side: OPS[int(rng.integers(3))] for side in ("left", "right")}


class Counting:
    def __init__(self) -> None:
        self.networks: list[str] = []

    def evaluate(self, request: Request) -> Outcome:
        self.networks.append(candidate_key(Sums().decode(request.decisions)))
        return Outcome(request, {"miou": 0.5})


def test_a_network_by_other_decisions_is_not_evaluated_again(tmp_path: Path) -> None:
    problem = Problem(Sums(), Objective(), identify=by_candidate(Sums()))
    study, evaluator = open_study(tmp_path / "study.journal", problem, identity={}, seed=0), Counting()
    found = search(problem, RandomSearch(problem, seed=0), evaluator, study, evaluations=9)
    study.close()
    assert found.stopped == "exhausted"
    assert len(evaluator.networks) == len(set(evaluator.networks)) == 6


def test_keys_tell_recipes_and_networks_apart() -> None:
    one, other = (Sums().decode({"left": op, "right": "conv_1x1"}).genotype for op in OPS[:2])
    keys = [
        candidate_key(each)
        for each in (
            Candidate(one),
            Candidate(other),
            Candidate(one, {"lr": 0.1}),
            Candidate(one, {"lr": 0.2}),
            Candidate(one, {"lr": 0.1, "loss": "ce"}),
            Candidate(one, {"loss": "ce", "lr": 0.1}),
        )
    ]
    assert len(set(keys)) == 5 and keys[4] == keys[5]


def test_inactive_choices_do_not_count() -> None:
    problem = toy_problem()
    base: dict[str, Value] = {f"x{i}": 1 for i in range(8)}
    assert problem.key(base) == problem.key({**base, "extra": (1, 2)})


def test_requests_of_any_kind_are_numbered_in_one_place() -> None:
    proposer = Proposer(toy_problem(), seed=3)
    assert [each.id for each in proposer.requests(2, proposer.sample)] == [0, 1]
    made = proposer.numbered(3, lambda number: Request({}, number, 0.5) if number < 4 else None)
    assert [(each.id, each.fidelity) for each in made] == [(2, 0.5), (3, 0.5)]
    proposer.hear(Request({f"x{i}": 0 for i in range(8)}, 9))
    twin = Proposer(toy_problem(), seed=0)
    twin.restore(proposer.state())
    assert twin.next == 10 and twin.state() == proposer.state()
