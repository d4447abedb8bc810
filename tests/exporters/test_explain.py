"""Where the time of real small networks goes: every node has its kernels, and all times add up."""

from __future__ import annotations

import pytest

from hwnas.compiler.network import compile_graph
from hwnas.compiler.weights import save_weights
from hwnas.exporters.explain import Explanation, Timed, cell_times, explain, node_times, place_in_genotype
from hwnas.exporters.onnx_export import export_network
from hwnas.exporters.profiler import PROFILERS, EngineProfile, Kernel
from hwnas.exporters.untrained import randomise
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.ir.serialize import save_genotype
from hwnas.latency.model import NodeLatency, Prediction
from hwnas.zoo.catalog import load
from tests.exporters.nets import graph_of


def explained(engine: str, path, onnx_path, graph, genotype) -> Explanation:
    timed = Timed(PROFILERS.get(engine).profile(path, threads=1, seconds=0.1), p50_ms=1.0, cpu_p50_ms=1.0)
    return explain(timed, onnx_path=onnx_path, graph=graph, genotype=genotype)


def check_everything_is_told(found: Explanation, graph) -> None:
    assert found.unattributed == ()
    nodes = {node.name: node for node in found.nodes}
    for name in graph.order:
        node = nodes[name]
        assert node.kernels or node.inside or node.op == "skip_connect", name
        assert not node.inside or nodes[node.inside].kernels
        assert (node.ms > 0) == bool(node.kernels) and 0 <= node.converts_ms <= node.ms
    parts = sum(node.ms for node in found.nodes) + found.unattributed_ms + found.between_ms
    assert parts == pytest.approx(found.profiled_ms)
    for key in (lambda node: node.family, lambda node: node.stage):
        assert sum(found.totals(key).values()) == pytest.approx(sum(node.ms for node in found.nodes))


@pytest.mark.parametrize("kind", ["logits", "labels"])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_every_node_of_a_random_network_has_time(engine, kind, exported, network, genotype) -> None:
    path = exported[kind].path
    found = explained(engine, path, path, network.graph, genotype)
    check_everything_is_told(found, network.graph)
    assert ("argmax" in {node.name for node in found.nodes}) == (kind == "labels")


def test_additions_that_are_fused_are_told_where(tmp_path) -> None:
    genotype = load("fast-scnn")
    graph = graph_of(genotype)
    network = compile_graph(graph, seed=0)
    randomise(network, 0)
    export_network(network.eval(), tmp_path / "a.onnx")
    found = explained("onnxruntime", tmp_path / "a.onnx", tmp_path / "a.onnx", graph, genotype)
    check_everything_is_told(found, graph)
    inside = {node.name: node.inside for node in found.nodes if node.inside}
    assert inside == {"fuse/add": "fuse/low", "fuse/relu": "fuse/low"}


def test_pytorch_runs_the_nodes_themselves(network, genotype, tmp_path) -> None:
    save_genotype(genotype, tmp_path / "genotype.json")
    height, width = network.graph.shape("image")[1:]
    save_weights(network, tmp_path / "weights.safetensors", {"size": f"{height}x{width}", "classes": "5"})
    found = explained("torch-eager", tmp_path, None, network.graph, genotype)
    assert found.unattributed == () and all(node.kernels for node in found.nodes)
    assert [node.name for node in found.nodes] == list(network.graph.order)


def test_a_file_without_a_genotype_is_explained_by_its_own_names(exported) -> None:
    path = exported["logits"].path
    found = explained("onnxruntime", path, path, None, None)
    assert {"stem/conv", "classifier", "upsample"} <= {node.name for node in found.nodes}
    assert {node.shape for node in found.nodes} == {None}
    assert next(node for node in found.nodes if node.name == "stem/conv").op == "Conv+Relu"


def prediction(graph) -> Prediction:
    nodes = tuple(NodeLatency(node.name, node.op, "key", 0.5, "measured") for node in graph.nodes)
    return Prediction(0.5 * len(nodes) + 0.1, (1.0, 9.0), nodes, overhead_ms=0.1)


def test_predictions_stand_beside_their_nodes(network, genotype) -> None:
    graph = network.graph
    kernels = tuple(Kernel(name, "K", 0.25, (name,)) for name in graph.order)
    timed = Timed(EngineProfile(kernels, run_ms=20.0, runs=3), p50_ms=17.0, cpu_p50_ms=16.0)
    found = explain(timed, onnx_path=None, graph=graph, genotype=genotype, predicted=prediction(graph))
    assert {node.predicted_ms for node in found.nodes} == {0.5} and found.slowdown == pytest.approx(0.25)
    assert found.between_ms == pytest.approx(20.0 - 0.25 * len(kernels))
    assert node_times(found) == dict.fromkeys(graph.order, 0.25)
    in_cell = [node for node in found.nodes if node.cell == "stage2"]
    assert sum(cell_times(found, "stage2").values()) == pytest.approx(0.25 * len(in_cell)) and in_cell


def test_names_lead_back_to_cells() -> None:
    cells = {
        "normal": Cell.of(["x"], [Node("a", "conv_3x3", ("x",)), Node("b/c", "conv_3x3", ("a",))], "b/c"),
        "reduce": Cell.of(["x"], [Node("a", "conv_3x3", ("x",))], "a"),
    }
    nasnet = Genotype("n", "any", cells, {})
    assert place_in_genotype("cell3/normal/a", nasnet) == ("normal", "a")
    assert place_in_genotype("cell3/normal/b/c/resize0", nasnet) == ("normal", "b/c")
    assert place_in_genotype("reduce/a", nasnet) == ("reduce", "a")
    assert place_in_genotype("stem/conv", nasnet) == ("", "")
    alone = Genotype("p", "plain", {"network": cells["normal"]}, {})
    assert place_in_genotype("b/c", alone) == ("network", "b/c")
    assert place_in_genotype("upsample", alone) == ("", "")
