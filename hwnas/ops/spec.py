"""What an op is: a named building block with a shape rule, cost rules and a PyTorch module. Imports no torch.

Ops are fused blocks (convolution + BatchNorm + ReLU is one), since engines fuse. Units: ``macs`` counts one multiply in
a convolution or linear layer and nothing else; ``weights`` counts trainable parameters (BatchNorm's weight and bias
included, running statistics not).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hwnas.errors import GenotypeError
from hwnas.registry import Registry
from hwnas.shapes import Params, Shape, Value

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModuleCall:
    """How an op's PyTorch module is made: a class and its keyword arguments.

    The compiler calls it; the source writer prints it. So the module that is trained and the module that is written out
    as code are the same. The class lives in ``source``, a file that imports only torch. Ours is in a subpackage, which
    the registry's scan of ``hwnas.ops`` does not open: knowing the ops must not import torch.
    """

    class_name: str
    kwargs: Mapping[str, Value]
    source: str = "hwnas.ops.nn.modules"

    def load(self) -> type[nn.Module]:
        """The module's class (imports torch)."""
        found: type[nn.Module] = getattr(importlib.import_module(self.source), self.class_name)
        return found

    def build(self) -> nn.Module:
        """Instantiate the module (imports torch)."""
        make: Any = self.load()
        module: nn.Module = make(**self.kwargs)
        return module


Rule = Callable[[Value], str]
"""Looks at a parameter's value and says what it must be, as in ``"must be 1 or 2"``; ``""`` where it is fine."""


@dataclass(frozen=True)
class OpSpec:
    """One op of the vocabulary.

    ``arity`` is the number of inputs (``None``: one or more); ``defaults`` names every parameter with its default
    (``None``: required). All rules get the input shapes and the complete parameters.
    """

    name: str
    family: str
    arity: int | None
    defaults: Mapping[str, Value | None]
    infer_shape: Callable[[Sequence[Shape], Params], Shape]
    module: Callable[[Sequence[Shape], Params], ModuleCall]
    macs: Callable[[Sequence[Shape], Params], int] = field(default=lambda shapes, params: 0)
    weights: Callable[[Sequence[Shape], Params], int] = field(default=lambda shapes, params: 0)
    commutative: bool = False
    per_channel: bool = False
    """Channel i of the output depends on channel i of the inputs only (resize, pooling, identity, add, dw_conv)."""
    fan_in: tuple[str, ...] = ()
    """Parameters of the module whose dim 1 are exactly the op's input channels, where no other parameter is indexed by
    them (``("conv.weight",)``): behind a concat of varying width, slicing these is enough. Some may be absent (the
    shortcut of a block). It does not hold for a convolution with groups."""
    rules: Mapping[str, Rule] = field(default_factory=dict)
    """What each parameter must be; one without a rule must have the type of its default (see :meth:`check`)."""

    def complete(self, params: Params) -> dict[str, Value]:
        """``params`` with defaults filled in, sorted; unknown, missing or ill-typed ones are a GenotypeError."""
        self.check(params)
        full: dict[str, Value] = {}
        for name in sorted(self.defaults):
            value = params.get(name, self.defaults[name])
            if value is None:
                raise GenotypeError(f"op {self.name} needs parameter {name!r}")
            full[name] = value
        return full

    def check(self, params: Params) -> None:
        """Raise GenotypeError unless the given parameters, perhaps not all, are known and obey their rules.

        Without a rule, the type is the default's; required parameters are whole numbers of at least 1, as are all
        others whose default is at least 1.
        """
        unknown = sorted(set(params) - set(self.defaults))
        if unknown:
            known = ", ".join(self.defaults) or "none"
            raise GenotypeError(f"op {self.name} has no parameter {unknown[0]!r}", f"its parameters are: {known}")
        for name, value in params.items():
            rule = self.rules.get(name)
            complaint = rule(value) if rule else _complaint(value, self.defaults[name])
            if complaint:
                raise GenotypeError(f"parameter {name!r} of op {self.name} {complaint}, not {value!r}")


def _complaint(value: Value, default: Value | None) -> str:
    """The rule of a parameter without one: ``value`` has the type of ``default`` (``None``: a whole number from 1)."""
    if isinstance(default, tuple):
        first = default[0] if default else None
        wrong = not isinstance(value, tuple) or any(_complaint(item, first) for item in value if default)
        return f"must be a list like {list(default)}" if wrong else ""
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "must be true or false"
    if isinstance(default, str):
        return "" if isinstance(value, str) else "must be a text"
    if isinstance(default, float):
        return "" if isinstance(value, (int, float)) and not isinstance(value, bool) else "must be a number"
    least = 1 if default is None else min(1, default)
    good = isinstance(value, int) and not isinstance(value, bool) and value >= least
    return "" if good else f"must be a whole number of at least {least}"


OPS: Registry[OpSpec] = Registry("op", "hwnas.ops")
