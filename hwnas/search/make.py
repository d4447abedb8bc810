"""Strategies by name and options: ``evolution``, ``halving:around=evolution,eta=3``.

A strategy that cannot serve a problem has a function ``refuses(problem)`` that gives the reason, or None. One that asks
for parts of an evaluation by a schedule of its own says ``schedules = True``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from hwnas.errors import HwnasError
from hwnas.search.problem import Problem
from hwnas.search.strategy import STRATEGIES, Strategy, StrategyFactory

KINDS: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "int": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "float": (
        "a number",
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value),
    ),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "str": ("text", lambda value: isinstance(value, str)),
}
"""What options that a user writes may be, by their annotation: how it is called, and whether a value is it."""


def parse_call(text: str) -> tuple[str, dict[str, Any]]:
    """``"halving:around=evolution,eta=3"`` → ``("halving", {"around": "evolution", "eta": 3})``.

    Whole numbers, other numbers, ``true`` and ``false`` become what they say; everything else is text.
    """
    name, _, rest = text.partition(":")
    options: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        option, equals, value = part.partition("=")
        if not equals or not option.strip() or not value.strip():
            raise HwnasError(f"{part!r} in {text!r} sets nothing", f"write it like {name}:option=value,other=value")
        if option.strip() in options:
            raise HwnasError(f"{text!r} sets {option.strip()!r} twice")
        options[option.strip()] = _value(value.strip())
    return name.strip(), options


def make_strategy(text: str, problem: Problem, *, seed: int, **options: Any) -> Strategy:
    """The strategy that ``text`` names, for ``problem``; ``options`` beside those in the text.

    HwnasError for an unknown name or option, and for a strategy that cannot serve the problem, with those that can.
    """
    name, given = parse_call(text)
    factory = STRATEGIES.get(name)
    check_serves(name, problem)
    check_options(name, given)
    return factory(problem, seed=seed, **options, **given)


def refusal(factory: StrategyFactory, problem: Problem) -> str | None:
    """Why a strategy cannot serve ``problem``; None if it can."""
    refuses = getattr(factory, "refuses", None)
    return refuses(problem) if refuses else None


def check_serves(name: str, problem: Problem) -> None:
    """HwnasError, with the strategies that can, if the one called ``name`` cannot serve ``problem``."""
    reason = refusal(STRATEGIES.get(name), problem)
    if reason is None:
        return
    able = [other for other in STRATEGIES.names() if refusal(STRATEGIES.get(other), problem) is None]
    raise HwnasError(
        f"the strategy {name} cannot search the space {problem.space.name}: {reason}", f"these can: {', '.join(able)}"
    )


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """HwnasError for an option that the strategy called ``name`` does not have, or that cannot be what it is given.

    A user's are the keyword arguments of a :data:`KINDS`, but for the seed; bounds are the strategy's to check.
    """
    parameters = inspect.signature(STRATEGIES.get(name)).parameters.values()
    others = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)  # it checks them itself
    kinds = {each.name: _kind(each.annotation) for each in parameters if each.kind is each.KEYWORD_ONLY}
    known = [option for option, kind in kinds.items() if kind in KINDS and option != "seed"]
    for option, value in options.items():
        if option not in known:
            if others and option not in kinds:
                continue
            there_are = f"it has: {', '.join(known)}" if known else "it has none"
            raise HwnasError(f"the strategy {name} has no option {option!r}", there_are)
        what, fits = KINDS[kinds[option]]
        if not fits(value):
            raise HwnasError(f"the option {option} of {name} cannot be {value!r}", f"it is {what}")


def _kind(annotation: object) -> str:
    """An annotation's name: it is text already where annotations are postponed."""
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")


def one_number(problem: Problem) -> str | None:
    """The refusal of strategies that compare candidates by one number."""
    if not problem.objective.also:
        return None
    return f"it maximises one number, and the objective is {len(problem.objective.metrics)} metrics"


def _value(text: str) -> bool | int | float | str:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
