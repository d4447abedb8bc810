"""What every search space must keep, as functions: ``tests/contracts/test_spaces.py`` runs them on all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from hwnas.compiler.cost import cost_of
from hwnas.compiler.network import Network, compile_graph
from hwnas.exporters.onnx_export import network_as_onnx, onnx_bytes
from hwnas.exporters.untrained import randomise
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.ir.passes.simplify import simplify
from hwnas.ir.serialize import genotype_from_dict, genotype_to_dict
from hwnas.ir.verify import verify
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SearchSpace
from hwnas.spaces.decisions import canonical, check, crossover, mutate
from tests.contracts.exported_ops import ExportedOps

CLASSES = 5
TOGETHER = 5
TWINS = ("-small", "-imagenet", "-resnet101")
"""Ends of the names of spaces that are others with other numbers."""
Size = tuple[int, int]
Seed = int | tuple[int, ...]


def drawn(space: SearchSpace, count: int, seed: Seed = 0) -> list[Genotype]:
    """Genotypes of random decisions, which are checked and canonical."""
    rng, genotypes = np.random.default_rng(seed), []
    for _ in range(count):
        decisions = space.sample(rng)
        check(space, decisions)
        assert decisions == canonical(space, decisions)
        genotypes.append(space.decode(decisions).genotype)
    return genotypes


def check_same_seed_same_genotypes(space: SearchSpace) -> None:
    first, second = ([fingerprint(genotype) for genotype in drawn(space, 5, seed=3)] for _ in range(2))
    assert first == second
    assert len(set(first)) > 1


def check_neighbours_decode(space: SearchSpace, size_hw: Size, count: int = 5) -> None:
    """Mutations and crossovers of decisions are decisions of the space."""
    rng = np.random.default_rng(1)
    for _ in range(count):
        a, b = space.sample(rng), space.sample(rng)
        for decisions in (mutate(space, a, rng), crossover(space, a, b, rng)):
            check(space, decisions)
            verify(expand(space.decode(decisions).genotype, (3, *size_hw), CLASSES))


def check_round_trips(space: SearchSpace, size_hw: Size, count: int, seed: Seed = 0) -> None:
    """Every genotype expands to a well-formed graph, and is the same after a trip through JSON."""
    for genotype in drawn(space, count, seed):
        verify(expand(genotype, (3, *size_hw), CLASSES))
        again = genotype_from_dict(json.loads(json.dumps(genotype_to_dict(genotype))))
        assert again == genotype
        assert fingerprint(again) == fingerprint(genotype)


def check_torch_agrees(space: SearchSpace, sizes_hw: tuple[Size, ...], count: int, seed: Seed = 1) -> None:
    """Shapes, multiplications and parameters of the graph are those that torch counts, at every size, odd ones, too."""
    for genotype in drawn(space, count, seed):
        states = []
        for size_hw in sizes_hw:
            graph = simplify(expand(genotype, (3, *size_hw), CLASSES))
            network = compile_graph(graph, seed=0).eval()
            check_counts(graph, network)
            states.append({key: tuple(value.shape) for key, value in network.state_dict().items()})
        assert all(state == states[0] for state in states), "weights of one size do not load at another"


@torch.no_grad()
def check_counts(graph: OpGraph, network: Network) -> None:
    cost = cost_of(graph)
    with FlopCounterMode(display=False) as counter:
        logits = network(torch.zeros(1, *graph.shape(graph.input)))
    assert tuple(logits.shape[1:]) == graph.shape(graph.output)
    assert counter.get_total_flops() == 2 * cost.macs
    assert sum(parameter.numel() for parameter in network.parameters()) == cost.params


def check_exports(space: SearchSpace, size_hw: Size, count: int, seed: Seed = 2) -> None:
    """ONNX Runtime computes what PyTorch computes, of networks exported whole: each takes seconds.

    ``TOGETHER`` of them go into one file: the exporter's own start takes as long as a small network.
    """
    genotypes = drawn(space, count, seed)
    for start in range(0, count, TOGETHER):
        graphs = [expand(genotype, (3, *size_hw), CLASSES) for genotype in genotypes[start : start + TOGETHER]]
        network = compile_graph(side_by_side([simplify(graph) for graph in graphs]), seed=0)
        randomise(network, 0)
        check_onnx(network, onnx_bytes(network_as_onnx(network)), parts=len(graphs))


def check_assembled(space: SearchSpace, size_hw: Size, count: int, ops: ExportedOps, seed: Seed = 3) -> None:
    """ONNX Runtime computes what PyTorch computes, of networks put together from ops that were exported once for all.

    They have the graph's wiring, the exported ops and their own input sizes; what they lack is that the exporter saw
    them whole.
    """
    genotypes = drawn(space, count, seed)
    graphs = [simplify(expand(genotype, (3, *size_hw), CLASSES)) for genotype in genotypes]
    ops.add(graphs)
    for graph in graphs:
        check_onnx(ops.network(graph), ops.onnx(graph))


@torch.no_grad()
def check_onnx(network: Network, model: bytes, *, parts: int = 1) -> None:
    """The model gives the network's output on a random image, to 2e-4 of the largest in each of ``parts`` of it."""
    import onnxruntime

    graph = network.graph
    images = torch.randn(1, *graph.shape(graph.input), generator=torch.Generator().manual_seed(0))
    expected = network.eval()(images).numpy()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    for ours, theirs in zip(np.split(expected, parts, axis=1), np.split(found, parts, axis=1), strict=True):
        scale = max(1.0, float(np.abs(ours).max()))
        np.testing.assert_allclose(theirs / scale, ours / scale, atol=2e-4)


def side_by_side(graphs: Sequence[OpGraph]) -> OpGraph:
    """The networks of ``graphs`` on one image, their logits concatenated."""
    builder = GraphBuilder(graphs[0].shape(graphs[0].input))
    outputs = []
    for number, graph in enumerate(graphs):
        names = {graph.input: builder.input}
        for node in graph.nodes:
            sources = [names[source] for source in node.inputs]
            names[node.name] = builder.add(f"net{number}/{node.name}", node.op, sources, node.params)
        outputs.append(names[graph.output])
    return builder.finish(builder.add("logits", "concat", outputs))
