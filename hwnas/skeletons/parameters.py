"""Reading a skeleton's parameters: defaults, types and names, each mistake a GenotypeError that names the parameter."""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.errors import GenotypeError
from hwnas.shapes import Params, Value


def read_params(skeleton: str, params: Params, defaults: Mapping[str, Value]) -> dict[str, Value]:
    """``params`` completed with ``defaults``.

    A parameter must be known and of its default's type; whole numbers must be at least 1.
    """
    unknown = sorted(set(params) - set(defaults))
    if unknown:
        raise GenotypeError(
            f"skeleton {skeleton} has no parameter {unknown[0]!r}", f"its parameters are: {', '.join(defaults)}"
        )
    for name, value in params.items():
        wanted = type(defaults[name])
        if type(value) is not wanted or (wanted is int and int(str(value)) < 1):
            what = {int: "a whole number of at least 1", bool: "true or false", str: "a text"}.get(wanted, "a list")
            raise GenotypeError(f"skeleton {skeleton}: {name} must be {what}, not {value!r}")
    return {**defaults, **params}
