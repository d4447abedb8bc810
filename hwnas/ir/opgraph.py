"""The op graph: a genotype expanded for one input size and class count. What is priced, drawn and compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import networkx as nx

from hwnas.errors import GenotypeError
from hwnas.ir.gates import Gate, Select
from hwnas.ir.node import NOTHING, Node, freeze_graph, inputs_of, node_of
from hwnas.ops.spec import OPS
from hwnas.shapes import Params, Shape, format_shape

GATED_OPS = ("add", "concat")
"""They can do without some of their inputs."""


@dataclass(frozen=True, eq=False)
class OpGraph:
    """A frozen DAG with one input and one output; every node carries ``op``, ``params`` (complete) and ``shape``.

    ``auxiliary`` names further outputs, in order: heads that only training looks at. The pass ``without_auxiliary``
    gives the graph that is deployed.

    A node's name is its origin: where in the skeleton and the cells it comes from (``"stage2/block1"``). Weights,
    prices and pictures are keyed by it. The input is the node :attr:`input`, which has a shape and no op.

    In a *supergraph* decisions are open: edges into ``add`` and ``concat`` may carry a ``gate``, and nodes ``open``
    parameters, which have their largest value in ``params`` and in the shapes. ``fix_gates`` closes them.
    """

    graph: nx.MultiDiGraph
    input: str
    output: str
    auxiliary: tuple[str, ...] = ()

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Execution order: topological, in order of construction where that leaves a choice; without the input."""
        index = {name: i for i, name in enumerate(self.graph)}
        order = nx.lexicographical_topological_sort(self.graph, key=index.__getitem__)
        return tuple(name for name in order if name != self.input)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes in execution order, each with its ordered inputs and complete parameters."""
        return tuple(self.node(name) for name in self.order)

    def node(self, name: str) -> Node:
        return node_of(self.graph, name)

    def shape(self, name: str) -> Shape:
        """Output shape (C, H, W) of a node, or of the input."""
        shape: Shape = self.graph.nodes[name]["shape"]
        return shape

    @cached_property
    def is_open(self) -> bool:
        """Whether it is a supergraph."""
        return any(node.is_open for node in self.nodes)

    @cached_property
    def only_auxiliary(self) -> frozenset[str]:
        """Names of the nodes that an auxiliary output needs and the output does not."""
        needed = {ancestor for name in self.auxiliary for ancestor in nx.ancestors(self.graph, name) | {name}}
        return frozenset(needed - nx.ancestors(self.graph, self.output) - {self.output, self.input})

    def input_shapes(self, name: str) -> tuple[Shape, ...]:
        """Shapes of a node's inputs, in order."""
        return tuple(self.shape(source) for source in inputs_of(self.graph, name))


class GraphBuilder:
    """Builds an :class:`OpGraph` node by node; skeletons use it. Shapes are inferred, parameters completed."""

    def __init__(self, input_shape: Shape, *, input_name: str = "image") -> None:
        self._input = input_name
        self._shapes: dict[str, Shape] = {input_name: input_shape}
        self._nodes: list[Node] = []

    @property
    def input(self) -> str:
        return self._input

    def shape(self, name: str) -> Shape:
        return self._shapes[name]

    def add(
        self,
        name: str,
        op: str,
        inputs: Sequence[str],
        params: Params | None = None,
        *,
        gates: Mapping[int, Gate] = NOTHING,
        open: Mapping[str, Select] = NOTHING,
    ) -> str:
        """Add a node and return its name; an op that does not fit its inputs is a GenotypeError naming the node.

        ``gates`` (by slot, of ``add`` and ``concat`` only) and ``open`` parameters make a supergraph; the node is built
        with the largest value of the latter.
        """
        if gates and op not in GATED_OPS:
            raise GenotypeError(f"node {name!r} ({op}): only inputs of {' and '.join(GATED_OPS)} can have gates")
        params = {**(params or {}), **{param: select.largest for param, select in open.items()}}
        for slot, source in enumerate(inputs):
            if source not in self._shapes:
                raise GenotypeError(f"node {name!r} takes its input {slot} from {source!r}, which does not exist")
        shapes = [self._shapes[source] for source in inputs]
        try:
            spec = OPS.get(op)
            if len(inputs) != spec.arity and not (spec.arity is None and inputs):
                wanted = "one or more inputs" if spec.arity is None else f"{spec.arity} input(s)"
                raise GenotypeError(f"op {op} takes {wanted}, not {len(inputs)}")
            complete = spec.complete(params)
            shape = spec.infer_shape(shapes, complete)
        except ValueError as error:
            hint = getattr(error, "hint", "")
            fed = ", ".join(map(format_shape, shapes))
            message = getattr(error, "message", str(error))
            raise GenotypeError(f"node {name!r} ({op} on {fed}): {message}", hint) from error
        if min(shape) < 1:
            raise GenotypeError(f"node {name!r} ({op}) would have the empty shape {format_shape(shape)}")
        self._shapes[name] = shape
        self._nodes.append(Node(name, op, tuple(inputs), complete, gates, open))
        return name

    def finish(self, output: str, auxiliary: Sequence[str] = ()) -> OpGraph:
        """The frozen graph. Nodes that reach neither the output nor an auxiliary one stay: passes remove them."""
        sources: Mapping[str, Mapping[str, object]] = {self._input: {"shape": self._shapes[self._input]}}
        graph = freeze_graph(sources, self._nodes, "op graph", shapes=self._shapes)
        finished = OpGraph(graph, self._input, output, tuple(auxiliary))
        nodes = tuple(self._nodes)  # each after its inputs: the order of construction is the order of execution
        finished.__dict__.update(nodes=nodes, order=tuple(node.name for node in nodes))
        return finished


class PrefixedBuilder(GraphBuilder):
    """``builder`` for one of several like parts of a graph: what is added gets ``prefix`` before its name."""

    def __init__(self, builder: GraphBuilder, prefix: str) -> None:
        self._builder, self._prefix = builder, prefix

    @property
    def input(self) -> str:
        return self._builder.input

    def shape(self, name: str) -> Shape:
        return self._builder.shape(name)

    def add(
        self,
        name: str,
        op: str,
        inputs: Sequence[str],
        params: Params | None = None,
        *,
        gates: Mapping[int, Gate] = NOTHING,
        open: Mapping[str, Select] = NOTHING,
    ) -> str:
        return self._builder.add(self._prefix + name, op, inputs, params, gates=gates, open=open)
