"""Strategies by name and options, and refusals that say which others can."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toy_space import toy_problem

from hwnas.errors import HwnasError
from hwnas.search.evolution import Evolution
from hwnas.search.make import check_serves, make_strategy, parse_call
from hwnas.search.objective import Objective
from hwnas.search.strategy import STRATEGIES


def test_calls_are_read() -> None:
    assert parse_call("random") == ("random", {})
    options = {"around": "evolution", "eta": 3, "min_fidelity": 0.25, "deep": True}
    assert parse_call("halving:around=evolution, eta=3,min_fidelity=0.25,deep=true") == ("halving", options)
    for text in ("halving:eta", "halving:eta=", "halving:eta=1,eta=2"):
        with pytest.raises(HwnasError):
            parse_call(text)


def test_a_strategy_is_made_with_its_options() -> None:
    made = make_strategy("evolution:population=5,tournament=2", toy_problem(), seed=3)
    assert isinstance(made, Evolution) and made.state()["seed"] == 3
    assert len(made.ask(9)) == 5


def test_an_unknown_option_names_those_that_there_are() -> None:
    with pytest.raises(HwnasError, match="no option 'size'") as caught:
        make_strategy("evolution:size=5", toy_problem(), seed=0)
    assert caught.value.hint == "it has: population, tournament, crossover"


def test_who_cannot_serve_says_why_and_who_can() -> None:
    several = replace(toy_problem(), objective=Objective(also=("latency_ms",)))
    for name in ("evolution", "rl", "halving", "gp"):
        with pytest.raises(HwnasError, match=f"{name} cannot search the space toy: .* 2 metrics") as caught:
            check_serves(name, several)
        assert {"random", "tpe", "nsga2", "nsga3", "qmc"} <= set(caught.value.hint.split(": ")[1].split(", "))
    for name in ("random", "nsga2", "nsga3", "tpe"):
        assert STRATEGIES.get(name)(several, seed=0).ask(1)
