"""Methods: published systems, each a space, a way to search it, and the training it is searched by, under one name.

A gradient method names the module whose ``prepare`` sets it up (:mod:`hwnas.search.gradient.order`); a sampled one its
strategy and the sampler of its supernet's paths. ``spaces`` are those that it can search, its own first; smaller twins
of that one follow, for images that it is too coarse for.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hwnas.errors import GenotypeError, HwnasError
from hwnas.registry import Registry
from hwnas.shapes import Value
from hwnas.spaces.base import SPACES

if TYPE_CHECKING:
    from hwnas.search.gradient.order import Prepare


@dataclass(frozen=True)
class Number:
    """A number from ``least`` on and less than ``below``."""

    whole: bool = False
    least: float = 0
    below: float = math.inf

    def holds(self, value: Any) -> bool:
        fits = isinstance(value, int if self.whole else int | float) and not isinstance(value, bool)
        return fits and self.least <= value < self.below

    def __str__(self) -> str:
        end = f", less than {self.below:g}" if math.isfinite(self.below) else ""
        return f"a {'whole ' if self.whole else ''}number from {self.least:g} on{end}"


NUMBER, PART, WHOLE, COUNT = Number(), Number(below=1), Number(whole=True), Number(whole=True, least=1)
Allowed = Number | type[str] | tuple[Value, ...]
"""What an option may be: a number, any text, or one of some values."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """``recipe``: what it changes of the recipe that searches are trained by. ``options``: what a user may set."""

    name: str
    paper: str
    what: str
    spaces: tuple[str, ...]
    gradient: str | None = None
    strategy: str | None = None
    sampler: str = "uniform"
    recipe: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    options: Mapping[str, Allowed] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        assert (self.gradient is None) != (self.strategy is None), "a method searches in one way"

    @property
    def kind(self) -> str:
        return "gradient" if self.gradient else "sampled"

    def prepare(self) -> Prepare:
        """The set-up of a gradient method."""
        assert self.gradient is not None
        found: Any = importlib.import_module(f"hwnas.search.gradient.{self.gradient}")
        prepare: Prepare = found.prepare
        return prepare

    def check_options(self, given: Mapping[str, Any]) -> None:
        """HwnasError for an option that it does not have, or that cannot be what it is given."""
        for name, value in given.items():
            if name not in self.options:
                there_are = f"it has: {', '.join(self.options)}" if self.options else "it has none"
                raise HwnasError(f"the method {self.name} has no option {name!r}", there_are)
            if (wanted := _unfit(value, self.options[name])) is not None:
                raise HwnasError(f"the option {name} of {self.name} cannot be {value!r}", f"it can be: {wanted}")

    def space_for(self, wanted: str | None, sizes_hw: tuple[tuple[int, int], ...], classes: int) -> str:
        """``wanted``, if the method can search it, else the first of its spaces whose networks fit images of all sizes.

        HwnasError where it cannot, or none does.
        """
        if wanted is not None:
            if wanted not in self.spaces:
                raise HwnasError(
                    f"the method {self.name} cannot search the space {wanted}", f"it can: {', '.join(self.spaces)}"
                )
            return wanted
        reasons = [_misfit(name, sizes_hw, classes) for name in self.spaces]
        for name, reason in zip(self.spaces, reasons, strict=True):
            if reason is None:
                return name
        raise HwnasError(
            f"no space of the method {self.name} fits images of that size: {reasons[-1]}", "use larger ones"
        )


def _unfit(value: Any, allowed: Allowed) -> str | None:
    """What an option may be, where it may not be ``value``."""
    if isinstance(allowed, tuple):
        fits = any(type(value) is type(each) and value == each for each in allowed)
        return None if fits else ", ".join(str(each).lower() for each in allowed)
    if isinstance(allowed, Number):
        return None if allowed.holds(value) else str(allowed)
    return None


PROBES = 12


def _misfit(space: str, sizes_hw: tuple[tuple[int, int], ...], classes: int) -> str | None:
    """Why some network of the space does not fit images of some size; None if all that were tried do."""
    import numpy as np

    from hwnas.skeletons.base import expand

    found, rng = SPACES.get(space), np.random.default_rng(0)
    for _ in range(PROBES):
        genotype = found.decode(found.sample(rng)).genotype
        for size_hw in sizes_hw:
            try:
                expand(genotype, (3, *size_hw), classes)
            except GenotypeError as error:
                return error.message
    return None


METHODS: Registry[Method] = Registry("method", "hwnas.search")


_LEARNED: Mapping[str, Allowed] = {"rate": NUMBER, "learn_from": PART, "checkpoint": (0, 1)}
_MIXED: Mapping[str, Allowed] = {"paths": ("sampled", "soft", "gumbel", "sigmoid"), **_LEARNED}


def _register(**facts: Any) -> None:
    METHODS.register(facts["name"], Method(**facts))


_register(
    name="darts",
    paper="1806.09055",
    what="bilevel softmax relaxation of two cells, first or second order, watched for collapse",
    spaces=("darts", "nasnet", "realtime"),
    gradient="darts",
    options={**_MIXED, "order": (1, 2), "look_every": WHOLE, "stop": (False, True), "partial": WHOLE},
)
_register(
    name="auto-deeplab",
    paper="1901.02985",
    what="a cell and a path through resolutions, the path decoded by Viterbi",
    spaces=("auto-deeplab", "auto-deeplab-small"),
    gradient="auto_deeplab",
    options={**_MIXED, "search_filters": COUNT},
)
_register(
    name="cas",
    paper="1908.09550",
    what="normal, reduction and multi-scale cells under a mix of costs",
    spaces=("cas-small",),
    gradient="cas",
    options={**_MIXED, "costs": str},
)
_register(
    name="gas",
    paper="1909.06793",
    what="a cell of its own for every layer, neighbours related by a graph convolution",
    spaces=("gas", "gas-small"),
    gradient="gas",
    options=_MIXED,
)
_register(
    name="fasterseg",
    paper="1912.10917",
    what="two branches with widths, fine-grained latency, teacher and student together",
    spaces=("fasterseg",),
    gradient="fasterseg",
    recipe=MappingProxyType({"loss": "ohem", "auxiliary_weight": 1.0}),
    options={**_MIXED, "distillation": NUMBER, "auxiliary": (0, 1)},
)
_register(
    name="proxyless",
    paper="1812.00332",
    what="binary gates, two paths a step, latency in expected milliseconds",
    spaces=("mbconv", "realtime"),
    gradient="proxyless",
    options=_LEARNED,
)
_register(
    name="dpc",
    paper="1809.04184",
    what="a dense prediction cell by random search on a proxy",
    spaces=("dpc",),
    strategy="dpc",
)
_register(
    name="econas",
    paper="2001.01233",
    what="hierarchical evolution over reduced proxies",
    spaces=("realtime", "darts", "nasnet"),
    strategy="econas",
)
_register(
    name="pcnas",
    paper="1910.02543",
    what="a pool of partial models grown while the supernet trains",
    spaces=("realtime", "mbconv"),
    strategy="pcnas",
    sampler="pcnas",
)
_register(
    name="greedynas",
    paper="2003.11236",
    what="multi-path sampling with rejection, evolution from the pool that it leaves",
    spaces=("realtime", "mbconv"),
    strategy="greedynas",
    sampler="greedynas",
)
_register(
    name="crnas",
    paper="1912.11234",
    what="computation reallocated over stages, then dilations over blocks",
    spaces=("crnas", "crnas-resnet18", "crnas-resnet101", "crnas-mobilenetv2"),
    strategy="crnas",
)
_register(
    name="nasnet",
    paper="1707.07012",
    what="a controller that is trained by reinforcement, over NASNet's cells",
    spaces=("nasnet",),
    strategy="rl",
)
_register(
    name="auxcells",
    paper="1810.10804",
    what="a light decoder with auxiliary cells, by reinforcement",
    spaces=("auxcells",),
    strategy="rl",
)
