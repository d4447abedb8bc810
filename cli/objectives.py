"""What a search is told to be after: ``--objective``, ``--limit``, ``--budget`` and several ``--table`` together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hwnas.errors import BudgetError, HwnasError, TableError
from hwnas.latency.model import TableModel
from hwnas.latency.table import LatencyTable
from hwnas.search.costs import LATENCY, is_cost
from hwnas.search.make import parse_call
from hwnas.search.objective import MIOU, QUALITIES, Budget, Objective
from hwnas.search.scalarise import Form, Plain, make_form


def table_names(paths: Sequence[str]) -> dict[str, str]:
    """Name → path of each latency table: ``NAME=FILE``, else the file's own name without its ending."""
    named: dict[str, str] = {}
    for text in paths:
        name, equals, path = text.partition("=")
        if not equals or "/" in name:
            name, path = Path(text).stem, text
        if not re.fullmatch(r"[\w.-]+", name):
            raise HwnasError(f"a latency table cannot be called {name!r}", "write it like --table phone=FILE")
        if name in named:
            raise HwnasError(
                f"two latency tables are called {name!r}", f"name one differently: --table other={path or text}"
            )
        named[name] = path
    return named


def objective_of(text: str, limits: Mapping[str, float]) -> Objective:
    """``--objective`` under ``limits`` (cost → upper limit).

    ``miou`` or ``miou_int8``; several metrics (``miou,latency_ms,params``), for a Pareto front; or one number of
    quality and costs: ``mnasnet-soft``, ``mnasnet-hard``, ``hinge``, ``lagrangian``, with targets, weights and the
    quality behind a colon (``hinge:latency_ms=8,weight=0.5,of=miou_int8``). Without targets the limits are the targets.
    """
    name, options = parse_call(text)
    metrics = [part.strip() for part in name.split(",")]
    if not options and any(is_metric(metric) for metric in metrics):
        for metric in metrics:
            if not is_metric(metric):
                raise HwnasError(
                    f"a search does not know the metric {metric!r}",
                    f"it knows {', '.join(QUALITIES)} and costs like params, macs",
                )
        return Objective(metrics[0], limits, tuple(metrics[1:]))
    quality = options.pop("of", MIOU)
    if quality not in QUALITIES:
        raise HwnasError(
            f"the objective {name} cannot weigh {quality} against costs", f"it can weigh: {', '.join(QUALITIES)}"
        )
    return Objective(str(quality), limits, form=_form(name, options, limits))


def is_metric(name: str) -> bool:
    """Whether a search knows how to find it out."""
    return name in QUALITIES or is_cost(name)


def _form(name: str, options: Mapping[str, object], limits: Mapping[str, float]) -> Form:
    limits = {cost: limit for cost, limit in limits.items() if cost not in QUALITIES}
    numbers = {}
    for option, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise HwnasError(f"{option}={value} in the objective {name} is no number")
        numbers[option] = float(value)
    targets = {option: value for option, value in numbers.items() if is_cost(option)}
    weights = {option: value for option, value in numbers.items() if option not in targets}
    form = make_form(name, targets or limits, weights)
    assert not isinstance(form, Plain)
    return form


def join_limits(given: Mapping[str, float], budgets: Mapping[str, float]) -> dict[str, float]:
    """Limits and latency budgets together; what is limited by both is a BudgetError."""
    for name in budgets:
        if name in given:
            raise BudgetError(f"{name} is limited twice, by --budget and by --limit", "give one of the two")
    return {**given, **budgets}


def check_metrics(names: Iterable[str], tables: Iterable[str]) -> None:
    """That every metric in ``names`` can be told; a latency on a device needs the device's table."""
    others = list(tables)[1:]
    for name in names:
        base, at, device = name.partition("@")
        if not is_metric(name):
            raise BudgetError(
                f"{name!r} is no cost that can be limited",
                f"limit latency_ms@TABLE, params, macs, …, or from below {', '.join(QUALITIES)}",
            )
        if at and (base != LATENCY or device not in others):
            there_are = ", ".join(f"{LATENCY}@{other}" for other in others) or "none: give a second --table"
            raise BudgetError(f"no table says {name}", f"further tables say: {there_are}")


def check_size(table: LatencyTable, size_hw: tuple[int, int]) -> None:
    """That a further device's table is of the same images; device, engine and precision may be any."""
    if table.contract.size_hw != size_hw:
        (height, width), (wanted_height, wanted_width) = table.contract.size_hw, size_hw
        raise TableError(
            f"a latency table is for {height}x{width}, not {wanted_height}x{wanted_width}",
            "profile that device at the size of the search",
        )


def device_table(name: str) -> str:
    """The file of a further device's table in a run directory."""
    return f"table-{name}.json"


def budget_of(model: TableModel, latency_ms: float, at: str, confidence: float | None) -> Budget:
    """A budget, with the ratio of its percentile to p50, and how far predictions err, from the table."""
    ratio = None if at == "p50" else model.at_percentile(1.0, at)
    return Budget(latency_ms, at, ratio, confidence, None if confidence is None else model.upper_ratio(confidence))
