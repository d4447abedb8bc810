"""Which choices decide what each node is: the factorisation that plans kernels and prices whole populations at once.

A node of the op graph depends on few of a space's choices: a block on its op, its width and the width before it. These
dependencies are learned, not declared: two random settings that agree on the choices known to matter for a node, but
not on the node, differ in at least one more choice that matters; walking from one to the other finds it by bisection.
Once no counterexample turns up any more, every combination of the choices that matter is enumerated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwnas.errors import HwnasError

Row = tuple[int, ...]
"""One option's index for every choice, active or not."""
Described = Mapping[str, Hashable]
"""Node name → whatever describes it; a node that is absent is not in the mapping."""

MAX_COMBINATIONS = 50_000
"""Of one node; a node that depends on more is not enumerated."""


class NotFactored(HwnasError):
    """The space's nodes depend on too much for all of their kernels to be listed."""


@dataclass
class _Node:
    """What is known of one node: the choices that matter and the value of each combination seen."""

    matters: list[int] = field(default_factory=list)
    seen: dict[Row, tuple[Hashable, Row]] = field(default_factory=dict)
    """Options of ``matters`` → (value, the row it was seen in)."""

    def at(self, row: Row) -> Row:
        return tuple(row[i] for i in self.matters)


@dataclass(frozen=True)
class NodeFactor:
    """One node as a function of the choices that matter.

    ``values`` holds its distinct values (``None`` where it is absent) and ``table`` an index into them for each
    combination: ``table[dot(options[choices], strides)]``.
    """

    name: str
    choices: tuple[int, ...]
    strides: tuple[int, ...]
    values: tuple[Hashable, ...]
    table: np.ndarray[tuple[int], np.dtype[np.int32]]


@dataclass(frozen=True)
class Factors:
    """All nodes of a space's graphs; ``evaluations`` is how many graphs were built to learn them."""

    option_counts: tuple[int, ...]
    nodes: tuple[NodeFactor, ...]
    evaluations: int

    @property
    def values(self) -> set[Hashable]:
        """Every value that any node can have."""
        return {value for node in self.nodes for value in node.values if value is not None}

    def indices(
        self, node: NodeFactor, rows: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    ) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """Index into ``node.values`` for each row of option indices, shape (N, choices)."""
        place = rows[:, list(node.choices)] @ np.array(node.strides, dtype=np.int64)
        return np.asarray(node.table[place])

    def expected_counts(self) -> dict[Hashable, float]:
        """How often each value occurs in a graph whose choices are drawn uniformly and independently."""
        counts: dict[Hashable, float] = {}
        for node in self.nodes:
            shares = np.bincount(node.table, minlength=len(node.values)) / len(node.table)
            for value, share in zip(node.values, shares, strict=True):
                if value is not None:
                    counts[value] = counts.get(value, 0.0) + float(share)
        return counts


def factorise(
    option_counts: Sequence[int],
    describe: Callable[[Row], Described],
    rng: np.random.Generator,
    *,
    quiet_draws: int = 200,
    most_values: float = math.inf,
) -> Factors:
    """Learn, enumerate, and check on fresh draws until ``quiet_draws`` in a row bring nothing new.

    Raises NotFactored for a node that depends on so many choices that it cannot be enumerated, as soon as that shows,
    and where more than ``most_values`` values of nodes have been looked at without an end.
    """
    learner = _Learner(tuple(option_counts), describe, rng, most_values)
    learner.draw_until_quiet(quiet_draws)
    while learner.enumerate_missing():
        learner.draw_until_quiet(quiet_draws)
    return learner.finished()


_UNLISTED = "its kernels cannot be listed; measure them as they are met with `hwnas profile --missing`"


class _Learner:
    def __init__(
        self, counts: Row, describe: Callable[[Row], Described], rng: np.random.Generator, most_values: float
    ) -> None:
        self.counts = counts
        self.most_values = self.left = most_values
        self.describe = describe
        self.rng = rng
        self.nodes: dict[str, _Node] = {}
        self.rows: dict[Row, Described] = {}

    def evaluate(self, row: Row) -> Described:
        if row not in self.rows:
            if self.left <= 0:
                raise NotFactored(
                    f"what the nodes depend on was not found out from {len(self.rows)} networks", _UNLISTED
                )
            self.rows[row] = self.describe(row)
            self.left -= len(self.rows[row])
        return self.rows[row]

    def random_row(self) -> Row:
        return tuple(int(self.rng.integers(count)) for count in self.counts)

    def draw_until_quiet(self, quiet_draws: int) -> None:
        quiet = 0
        while quiet < quiet_draws:
            quiet = 0 if self.learn(self.random_row()) else quiet + 1

    def learn(self, row: Row) -> bool:
        """Take in one row; whether it contradicted what was known."""
        described = self.evaluate(row)
        surprised = False
        for name in described:
            if name not in self.nodes:
                self.nodes[name] = _Node()
        for name in list(self.nodes):
            while self.contradicts(name, row, described.get(name)):
                surprised = True
        return surprised

    def contradicts(self, name: str, row: Row, value: Hashable) -> bool:
        """Record a value; on a contradiction find one more choice that matters, and say so."""
        node = self.nodes[name]
        known, known_row = node.seen.setdefault(node.at(row), (value, row))
        if known == value:
            return False
        culprit = self.bisect(name, known_row, known, row)
        self.nodes[name] = self.rebuilt(name, [*node.matters, culprit])
        return True

    def rebuilt(self, name: str, matters: list[int]) -> _Node:
        """A node with these choices; rows seen before are taken in again as contradictions turn up.

        Each of its combinations takes a graph to see it, so how much there is to look at is known beforehand.
        """
        combinations = math.prod(self.counts[i] for i in matters)
        values = combinations * len(next(iter(self.rows.values())))
        if combinations > MAX_COMBINATIONS or values > self.most_values:
            raise NotFactored(
                f"node {name!r} depends on {len(matters)} choices with {combinations} combinations", _UNLISTED
            )
        return _Node(sorted(matters))

    def bisect(self, name: str, start: Row, start_value: Hashable, stop: Row) -> int:
        """A choice whose change alone, on the way from one row to another, changes the node."""
        differing = [i for i in range(len(start)) if start[i] != stop[i]]
        low, high = 0, len(differing)  # after `low` changes the value is the start's; after `high` it is not
        while high - low > 1:
            middle = (low + high) // 2
            changed = set(differing[:middle])
            row = tuple(stop[i] if i in changed else start[i] for i in range(len(start)))
            if self.evaluate(row).get(name) == start_value:
                low = middle
            else:
                high = middle
        return differing[low]

    def enumerate_missing(self) -> bool:
        """Build graphs until every combination of every node was seen; whether any was missing or contradicted."""
        for row, described in list(self.rows.items()):
            for name in self.nodes:
                while self.contradicts(name, row, described.get(name)):
                    pass
        missing = {name: self.missing_of(name) for name in self.nodes}
        any_missing = any(missing.values())
        while any(missing.values()):
            row = self.covering_row(missing)
            if self.learn(row):
                return True  # dependencies changed: what is missing must be listed anew
            for name, combinations in missing.items():
                combinations.discard(self.nodes[name].at(row))
        return any_missing

    def missing_of(self, name: str) -> set[Row]:
        node = self.nodes[name]
        return set(np.ndindex(*(self.counts[i] for i in node.matters))) - set(node.seen)

    def covering_row(self, missing: Mapping[str, set[Row]]) -> Row:
        """A row that covers a missing combination of the worst node and of as many others as go with it."""
        fixed: dict[int, int] = {}
        for name in sorted(missing, key=lambda name: -len(missing[name])):
            matters = self.nodes[name].matters
            for combination in sorted(missing[name])[:32]:
                if all(fixed.get(i, option) == option for i, option in zip(matters, combination, strict=True)):
                    fixed.update(zip(matters, combination, strict=True))
                    break
        drawn = self.random_row()
        return tuple(fixed.get(i, drawn[i]) for i in range(len(drawn)))

    def finished(self) -> Factors:
        nodes = tuple(self.factor(name) for name in self.nodes)
        return Factors(self.counts, nodes, len(self.rows))

    def factor(self, name: str) -> NodeFactor:
        node = self.nodes[name]
        sizes = [self.counts[i] for i in node.matters]
        strides = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
        values: dict[Hashable, int] = {}
        table = np.empty(math.prod(sizes), dtype=np.int32)
        for place, combination in enumerate(np.ndindex(*sizes)):
            table[place] = values.setdefault(node.seen[combination][0], len(values))
        return NodeFactor(name, tuple(node.matters), tuple(strides), tuple(values), table)
