from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import onnxruntime
import pytest

from hwnas.errors import ArtifactError
from hwnas.exporters.fragments import assemble, assemble_bytes
from hwnas.exporters.kernels import export_ops
from hwnas.exporters.onnx_export import export_network
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.keys import keys_of
from tests.exporters.nets import graph_of, random_genotype, random_network

SEEDS = (0, 1, 4)


@pytest.fixture(scope="module")
def graphs() -> list[OpGraph]:
    return [graph_of(random_genotype(seed)) for seed in SEEDS]


@pytest.fixture(scope="module")
def fragments(graphs) -> dict[str, onnx.ModelProto]:
    keys = list({key for graph in graphs for key in keys_of(graph).values()})
    return {key.text: model for key, model in zip(keys, export_ops(keys), strict=True)}


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


def test_the_engine_makes_the_same_of_both(graphs, fragments, tmp_path) -> None:
    for graph in graphs:
        model = assemble(graph, fragments)
        onnx.checker.check_model(model, full_check=True)
        whole = tmp_path / "whole.onnx"
        export_network(random_network(graph), whole)
        together = optimised(model.SerializeToString(), tmp_path / "a.onnx")
        assert together == optimised(whole.read_bytes(), tmp_path / "b.onnx")
        assert len(together) > 15


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
