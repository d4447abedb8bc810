from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import onnxruntime
import pytest

from hwnas.errors import ArtifactError
from hwnas.exporters.fold import fold_batchnorm
from hwnas.exporters.fragments import assemble, assemble_bytes
from hwnas.exporters.kernels import export_ops
from hwnas.exporters.onnx_export import export_modules, network_as_onnx
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.keys import keys_of
from tests.exporters.nets import graph_of, random_genotype, random_network

SEEDS = (0, 1, 4)
SMALL, AMONG = 7, range(5, 60)
"""Beside those, so many networks of few nodes, exported in one call, which alone takes a second."""


@pytest.fixture(scope="module")
def graphs() -> list[OpGraph]:
    few = sorted((graph_of(random_genotype(seed)) for seed in AMONG), key=lambda graph: len(graph.nodes))[:SMALL]
    graphs = [*(graph_of(random_genotype(seed)) for seed in SEEDS), *few]
    assert len({tuple(keys_of(graph).values()) for graph in graphs}) == 10
    return graphs


@pytest.fixture(scope="module")
def fragments(graphs) -> dict[str, onnx.ModelProto]:
    keys = list({key for graph in graphs for key in keys_of(graph).values()})
    return {key.text: model for key, model in zip(keys, export_ops(keys), strict=True)}


@pytest.fixture(scope="module")
def wholes(graphs) -> list[bytes]:
    """The networks exported whole."""
    large, small = graphs[: len(SEEDS)], graphs[len(SEEDS) :]
    models = [network_as_onnx(random_network(graph)) for graph in large]
    models += export_modules([(fold_batchnorm(random_network(graph)), [graph.shape("image")]) for graph in small])
    return [model.SerializeToString() for model in models]


def optimised(model: bytes, path: Path) -> Counter[str]:
    """What ONNX Runtime makes of a model: each node's type, attributes, weights' shapes and output's shape."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    inferred = onnx.shape_inference.infer_shapes(onnx.load_from_string(model))  # ORT saves the shapes that it is given
    onnxruntime.InferenceSession(inferred.SerializeToString(), options, providers=["CPUExecutionProvider"])
    graph = onnx.load(path).graph
    weights = {item.name: tuple(item.dims) for item in graph.initializer}
    shapes = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in [*graph.value_info, *graph.input, *graph.output]
    }
    nodes = []
    for node in graph.node:
        attributes = sorted((item.name, str(onnx.helper.get_attribute_value(item))) for item in node.attribute)
        inputs = [weights.get(name, shapes.get(name)) for name in node.input]
        nodes.append(str((node.domain, node.op_type, attributes, inputs, [shapes.get(name) for name in node.output])))
    return Counter(nodes)


def test_the_engine_makes_the_same_of_both(graphs, fragments, wholes, tmp_path) -> None:
    """Of ten networks; that they take as long is what ``benchmarks/fragments_vs_whole.py`` measures."""
    for graph, whole in zip(graphs, wholes, strict=True):
        model = assemble(graph, fragments)
        onnx.checker.check_model(model, full_check=True)
        together = optimised(model.SerializeToString(), tmp_path / "a.onnx")
        assert together == optimised(whole, tmp_path / "b.onnx")
        assert len(together) > 10


def test_ends_are_those_of_a_whole_export(graphs, fragments) -> None:
    model = assemble(graphs[0], fragments)
    assert [item.name for item in (*model.graph.input, *model.graph.output)] == ["image", "logits"]
    names = [item.name for item in model.graph.initializer]
    assert len(names) == len(set(names))
    assert len({node.name for node in model.graph.node}) == len(model.graph.node)


def test_bytes_in_bytes_out(graphs, fragments) -> None:
    serialised = {text: model.SerializeToString() for text, model in fragments.items()}
    assert onnx.load_from_string(assemble_bytes(graphs[0], serialised)) == assemble(graphs[0], fragments)


def test_a_missing_fragment_names_node_and_key(graphs, fragments) -> None:
    key = keys_of(graphs[0])["stem/conv"]
    rest = {text: model for text, model in fragments.items() if text != key.text}
    with pytest.raises(ArtifactError, match=r"no kernel was exported for node 'stem/conv' \(conv_3x3\("):
        assemble(graphs[0], rest)


def test_fragments_of_another_opset_are_refused(graphs, fragments) -> None:
    key = keys_of(graphs[0])["classifier"]
    other = onnx.ModelProto()
    other.CopyFrom(fragments[key.text])
    other.opset_import[0].version = 17
    with pytest.raises(ArtifactError, match="'classifier' was exported for another opset"):
        assemble(graphs[0], {**fragments, key.text: other})
