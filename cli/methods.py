"""``hwnas methods``: the published systems that ``hwnas search --method`` reproduces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb
from hwnas.errors import HwnasError

if TYPE_CHECKING:
    from hwnas.search.methods import Method


@verb(example="hwnas methods")
def command(shell: Shell) -> Answer:
    """List the methods: their space, how they search it, and their paper."""
    from hwnas.search.methods import METHODS

    rows = [_row(METHODS.get(name)) for name in METHODS.names()]

    def show(console: Any) -> None:
        from rich.table import Table

        table = Table()
        for column in ("method", "kind", "spaces", "what", "arXiv"):
            table.add_column(column)
        for row in rows:
            table.add_row(row["name"], row["kind"], ", ".join(row["spaces"]), row["what"], row["paper"])
        console.print(table)

    return Answer({"methods": rows}, show)


def _row(method: Method) -> dict[str, Any]:
    return {
        "name": method.name,
        "kind": method.kind,
        "spaces": list(method.spaces),
        "strategy": method.strategy,
        "sampler": method.sampler if method.strategy else None,
        "what": method.what,
        "paper": method.paper,
    }


def settled(
    method: str | None, space: str | None, strategy: str | None, sampler: str | None, size_hw: tuple[int, int]
) -> dict[str, Any]:
    """``method``, ``method_options``, ``space``, ``strategy`` and ``sampler`` of a run's settings.

    ``method`` may carry options: ``cas:costs=macs=0.2``. HwnasError for a method beside a strategy or a sampler.
    """
    if method is None:
        own = {"space": space or "realtime", "strategy": strategy or "evolution", "sampler": sampler or "uniform"}
        return {"method": None, "method_options": "", **own}
    from hwnas.search.make import parse_call
    from hwnas.search.methods import METHODS

    name, _, options = method.partition(":")
    found = METHODS.get(name)
    if strategy is not None or sampler is not None:
        raise HwnasError(
            f"the method {name} brings its own way of searching",
            "leave --strategy and --sampler out, or --method",
        )
    if options and found.gradient is None:
        raise HwnasError(
            f"the method {name} takes no options", f"give them to its strategy: --strategy {found.strategy}"
        )
    found.check_options(parse_call(method)[1])
    chosen = found.space_for(space, _sizes(found, size_hw), 5)
    own = {"space": chosen, "strategy": found.strategy or "evolution", "sampler": found.sampler}
    return {"method": name, "method_options": options, **own}


def _sizes(method: Method, size_hw: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """The sizes that its networks must fit: the images', and for a gradient method those of its crops."""
    if method.gradient is None:
        return (size_hw,)
    from hwnas.cli.stages.relaxing import recipe_of

    crop = recipe_of(method).crop
    height, width = (max(32, round(size * crop / 4) * 4) for size in size_hw)
    return size_hw, (height, width)
