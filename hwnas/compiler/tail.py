"""The end of a network, run on feature maps that are already there: what is trained on a frozen backbone."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor, nn

from hwnas.compiler.network import Network
from hwnas.ir.opgraph import OpGraph


def needed_after(graph: OpGraph, given: Collection[str]) -> tuple[str, ...]:
    """The nodes that the output needs where the values ``given`` are known, in execution order."""
    needed: set[str] = set()
    queue = [graph.output]
    while queue:
        name = queue.pop()
        if name in needed or name in given or name == graph.input:
            continue
        needed.add(name)
        queue += graph.node(name).inputs
    return tuple(name for name in graph.order if name in needed)


def boundary(graph: OpGraph, fixed: Collection[str]) -> tuple[str, ...]:
    """The nodes among ``fixed`` that others, or the output, read: the features that a tail is given."""
    read = {source for node in graph.nodes if node.name not in fixed for source in node.inputs}
    return tuple(name for name in graph.order if name in fixed and (name in read or name == graph.output))


class Tail(nn.Module):
    """The nodes of ``network`` behind the values ``given``; shares their modules. Input: values by node's name."""

    def __init__(self, network: Network, given: Collection[str]) -> None:
        super().__init__()
        graph = network.graph
        self.given, self._output = tuple(given), graph.output
        self._steps = tuple((name, graph.node(name).inputs) for name in needed_after(graph, given))
        for name, _ in self._steps:
            self.add_module(name, network.get_submodule(name))

    def forward(self, values: Mapping[str, Tensor]) -> Tensor:
        known = dict(values)
        for name, sources in self._steps:
            known[name] = self._modules[name](*[known[source] for source in sources])  # type: ignore[misc]
        return known[self._output]


class Front(nn.Module):
    """The nodes of ``network`` that the values ``wanted`` need; images (N, 3, H, W) → values by node's name."""

    def __init__(self, network: Network, wanted: Collection[str]) -> None:
        super().__init__()
        graph = network.graph
        self._input, self._wanted = graph.input, tuple(wanted)
        needed = {name for output in wanted for name in _ancestors(graph, output)}
        self._steps = tuple((node.name, node.inputs) for node in graph.nodes if node.name in needed)
        for name, _ in self._steps:
            self.add_module(name, network.get_submodule(name))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        known = {self._input: images}
        for name, sources in self._steps:
            known[name] = self._modules[name](*[known[source] for source in sources])  # type: ignore[misc]
        return {name: known[name] for name in self._wanted}


def _ancestors(graph: OpGraph, output: str) -> set[str]:
    part = OpGraph(graph.graph, graph.input, output)
    return set(needed_after(part, ()))
