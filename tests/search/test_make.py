"""Strategies by name and options, and refusals that say which others can."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest
from toy_space import toy_problem

from hwnas.errors import HwnasError
from hwnas.search.evolution import Evolution
from hwnas.search.make import KINDS, check_serves, make_strategy, parse_call
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


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("evolution:population=abc", "a whole number"),
        ("evolution:population=40.5", "a whole number"),
        ("evolution:population=true", "a whole number"),
        ("evolution:tournament=2.5", "a whole number"),
        ("evolution:crossover=nan", "a number"),
        ("rl:hidden=48.5", "a whole number"),
        ("rl:batch=8.5", "a whole number"),
        ("rl:epochs=2.5", "a whole number"),
        ("rl:learning_rate=inf", "a number"),
        ("rl:algorithm=3", "text"),
        ("tpe:multivariate=1", "true or false"),
        ("dpc:finalists=2.5", "a whole number"),
        ("greedynas:population=2.5", "a whole number"),
    ],
)
def test_an_option_of_another_kind_is_refused(text: str, what: str) -> None:
    with pytest.raises(HwnasError, match="cannot be") as caught:
        make_strategy(text, toy_problem(), seed=0)
    assert caught.value.hint == f"it is {what}"


def test_numbers_without_a_fraction_will_do_where_a_number_is_asked_for() -> None:
    strategy = make_strategy("evolution:crossover=1", toy_problem(), seed=0)
    assert isinstance(strategy, Evolution)


@pytest.mark.parametrize("text", ["greedynas:pool=3", "random:seed=3", "tpe:seed=3", "halving:around_seed=3"])
def test_what_is_not_the_user_s_to_give_is_no_option(text: str) -> None:
    with pytest.raises(HwnasError, match="has no option"):
        make_strategy(text, toy_problem(), seed=0)


@pytest.mark.parametrize("text", ["nsga2:crossover=2", "nsga3:swapping=2", "nsga2:swapping=-0.5", "rl:entropy=-1"])
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(HwnasError, match="cannot run with"):
        make_strategy(text, toy_problem(), seed=0)


def test_all_options_of_all_strategies_have_a_kind_that_is_checked() -> None:
    for name in STRATEGIES.names():
        for parameter in inspect.signature(STRATEGIES.get(name)).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY and parameter.name != "pool":
                assert parameter.annotation in KINDS, f"{name}:{parameter.name}"


def test_who_cannot_serve_says_why_and_who_can() -> None:
    several = replace(toy_problem(), objective=Objective(also=("latency_ms",)))
    for name in ("evolution", "rl", "halving", "gp"):
        with pytest.raises(HwnasError, match=f"{name} cannot search the space toy: .* 2 metrics") as caught:
            check_serves(name, several)
        assert {"random", "tpe", "nsga2", "nsga3", "qmc"} <= set(caught.value.hint.split(": ")[1].split(", "))
    for name in ("random", "nsga2", "nsga3", "tpe"):
        assert STRATEGIES.get(name)(several, seed=0).ask(1)
