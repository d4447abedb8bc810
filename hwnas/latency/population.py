"""Latencies of whole populations, and of distributions over them: the table compiled over a space's factors.

A node of a space's op graphs depends on few choices, so what it costs is a small array over their options. The sum over
the nodes is a genotype's latency in microseconds of work, and the sum of the arrays' expectations is the expected
latency of genotypes whose choices are drawn independently, differentiable in the probabilities.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hwnas.errors import HwnasError, TableError
from hwnas.latency.context import Edge, edges_of
from hwnas.latency.factor import Described, NodeFactor, Row, factorise
from hwnas.latency.keys import LatencyKey, keys_of
from hwnas.latency.plan import graph_of_row
from hwnas.shapes import Value
from hwnas.spaces.base import SearchSpace

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MOST_VALUES = 1_000_000
"""Nodes and edges that are looked at before tabulating is given up: half a minute. The spaces realtime and darts take a
quarter of it."""
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


class Pricing(Protocol):
    """What prices the parts of a network: a :class:`~hwnas.latency.model.TableModel`, or a bound of one."""

    @property
    def overhead_ms(self) -> float: ...

    def node_ms(self, key: LatencyKey) -> float: ...

    def edge_ms(self, edge: Edge) -> float: ...


class Compiled(Protocol):
    """The latencies of one space at one size, made ready for many genotypes."""

    def predict_many(self, decisions: Sequence[Mapping[str, Value]], *, unpriced: float | None = None) -> Floats: ...

    def repriced(self, model: Pricing) -> Compiled: ...


@dataclass(frozen=True)
class _Part:
    """The cost in ms of some nodes as a function of ``choices``: one axis each. NaN where a kernel has no price."""

    choices: tuple[int, ...]
    ms: Floats

    def of(self, columns: Ints) -> Floats:
        """The cost for each genotype of option indices, shape (choices of the space, N)."""
        place = np.zeros(columns.shape[1], dtype=np.int64)
        for choice, count in zip(self.choices, self.ms.shape, strict=True):
            place = place * count + columns[choice]
        return self.ms.ravel().take(place)

    def places(self, starts: Ints, width: int) -> Ints:
        """Where each entry's options stand among all options of all choices, shape (width, entries).

        ``starts`` says where each choice's options begin, and ends with their number, which stands for none.
        """
        found = np.full((width, self.ms.size), starts[-1])
        for axis, (choice, options) in enumerate(zip(self.choices, np.indices(self.ms.shape), strict=True)):
            found[axis] = starts[choice] + options.ravel()
        return found


class PopulationModel:
    """The latencies of one space at one size, compiled.

    :meth:`predict_many` equals ``TableModel.predict`` of every expanded genotype, :meth:`expected_ms` its mean over
    genotypes that are drawn. Raises NotFactored for a space whose nodes depend on too many choices; those are priced by
    :class:`hwnas.latency.one_by_one.OneByOne`.
    """

    def __init__(
        self, model: Pricing, space: SearchSpace, size_hw: tuple[int, int], classes: int, rng: np.random.Generator
    ) -> None:
        def describe(row: Row) -> Described:
            graph = graph_of_row(space, row, size_hw, classes)
            edges = {
                f"{consumer} {slot} {producer}": edge for (consumer, slot, producer), edge in edges_of(graph).items()
            }
            return {**keys_of(graph), **edges}

        counts = [len(choice.options) for choice in space.choices]
        self._columns = [
            (choice.name, {option: i for i, option in enumerate(choice.options)}) for choice in space.choices
        ]
        self._always = [not choice.active_if for choice in space.choices]
        self._factors = factorise(counts, describe, rng, most_values=MOST_VALUES)
        self._price(model)

    def _price(self, model: Pricing) -> None:
        self._overhead_ms = model.overhead_ms
        prices, self._unpriced = prices_of(model, (value for node in self._factors.nodes for value in node.values))
        self._parts = _merged([_part(node, prices, self._factors.option_counts) for node in self._factors.nodes])
        self._tensors: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    def repriced(self, model: Pricing) -> PopulationModel:
        """The same space at the same size by another pricing, in whatever unit; what was learned of it is shared."""
        twin = copy.copy(self)
        twin._price(model)
        return twin

    def predict_many(self, decisions: Sequence[Mapping[str, Value]], *, unpriced: float | None = None) -> Floats:
        """Predicted p50 in milliseconds of each, shape (N,). Choices that are not active may be absent.

        One that needs a kernel which the table cannot price is ``unpriced``, or raises TableError if that is None.
        """
        columns = np.empty((len(self._columns), len(decisions)), dtype=np.int64)
        for column, (name, index), always in zip(columns, self._columns, self._always, strict=True):
            if always:  # most of the time goes into these look-ups
                column[:] = [index[each[name]] for each in decisions]
            else:
                column[:] = [index[each[name]] if name in each else 0 for each in decisions]
        total = np.full(len(decisions), self._overhead_ms)
        for part in self._parts:
            total += part.of(columns)
        without = np.flatnonzero(np.isnan(total))
        if len(without) and unpriced is None:
            raise self._reason(columns[:, without[:1]].T)
        total[without] = np.nan if unpriced is None else unpriced
        return total

    def expected_ms(self, probabilities: Mapping[str, Tensor]) -> Tensor:
        """Mean of the predicted p50, in milliseconds, over genotypes whose choices are drawn independently: a scalar.

        ``probabilities`` maps each choice to a vector, shape (options,), of one dtype and device; those of a choice
        that turns out inactive change nothing. It is exact, and so is its gradient, because each node is summed over
        all joint options of the choices that decide it, conditions between choices among them. It is not exact for
        choices that are drawn dependently, nor for a relaxation whose features are themselves mixtures.

        Raises HwnasError for a choice without probabilities or with too many or few, TableError if the table cannot
        price some kernel of the space: an option without a price has no gradient either.
        """
        import torch

        if self._unpriced:
            raise next(iter(self._unpriced.values()))
        vectors = [self._vector(probabilities, name, len(index)) for name, index in self._columns]
        ones = vectors[0].new_ones(1)
        all_of_them = torch.cat([*vectors, ones])
        ms, factors = self._entries(ones.device, ones.dtype)
        joint = all_of_them.index_select(0, factors[0])
        for factor in factors[1:]:
            joint = joint * all_of_them.index_select(0, factor)
        return ms @ joint + self._overhead_ms

    def _vector(self, probabilities: Mapping[str, Tensor], name: str, count: int) -> Tensor:
        if name not in probabilities:
            raise HwnasError(f"the expected latency needs the probabilities of the choice {name!r}")
        vector = probabilities[name]
        if vector.shape != (count,):
            raise HwnasError(f"the choice {name!r} has {count} options, and probabilities of shape {[*vector.shape]}")
        return vector

    def _entries(self, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """All entries of all parts: their costs, (entries,), and where in the concatenated probabilities the factors of
        their joint probability are, (most choices of a part, entries); a one follows the probabilities. Made once."""
        import torch

        if (device, dtype) not in self._tensors:
            starts = np.cumsum([0, *(len(index) for _, index in self._columns)])
            width = max(1, *(len(part.choices) for part in self._parts))
            places = np.concatenate([part.places(starts, width) for part in self._parts], axis=1)
            ms = np.concatenate([part.ms.ravel() for part in self._parts])
            made = torch.tensor(ms, device=device, dtype=dtype), torch.tensor(places, device=device)
            self._tensors[device, dtype] = made
        return self._tensors[device, dtype]

    def _reason(self, rows: Ints) -> TableError:
        """Why the one row cannot be priced."""
        for node in self._factors.nodes:
            value = node.values[int(self._factors.indices(node, rows)[0])]
            if value in self._unpriced:
                return self._unpriced[value]
        raise AssertionError("every kernel of the row has a price")


def prices_of(model: Pricing, values: Iterable[Hashable]) -> tuple[dict[Hashable, float], dict[Hashable, TableError]]:
    """What every value of a node (its kernel, an edge, None where it is absent) costs in ms, NaN where that is unknown;
    and why it is."""
    prices: dict[Hashable, float] = {None: 0.0}
    unpriced: dict[Hashable, TableError] = {}
    for value in dict.fromkeys(values):
        if isinstance(value, Edge):
            prices[value] = model.edge_ms(value)
        elif isinstance(value, LatencyKey):
            try:
                prices[value] = model.node_ms(value)
            except TableError as error:
                prices[value], unpriced[value] = np.nan, error
    return prices, unpriced


def _part(node: NodeFactor, prices: Mapping[Hashable, float], option_counts: Row) -> _Part:
    """One node's costs."""
    ms = np.array([prices[value] for value in node.values])[node.table]
    return _Part(node.choices, ms.reshape([option_counts[i] for i in node.choices]))


def _merged(parts: Sequence[_Part]) -> list[_Part]:
    """As few parts with the same sum: each goes into one that has all of its choices, if there is any."""
    merged: list[_Part] = []
    for part in sorted(parts, key=lambda part: -part.ms.size):
        for i, larger in enumerate(merged):
            if set(part.choices) <= set(larger.choices):
                merged[i] = _Part(larger.choices, larger.ms + _aligned(part, larger.choices))
                break
        else:
            merged.append(part)
    return merged


def _aligned(part: _Part, choices: tuple[int, ...]) -> Floats:
    """The part's costs with an axis for each of ``choices`` (ascending), of length 1 where it does not depend on it."""
    own = dict(zip(part.choices, part.ms.shape, strict=True))
    return part.ms.reshape([own.get(choice, 1) for choice in choices])
