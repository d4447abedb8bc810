"""What an engine cannot build is told by the node of the op graph, with what could stand there."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from hwnas.errors import ArtifactError
from hwnas.exporters.blame import blamed, instead_of
from hwnas.exporters.build import export_artifact
from hwnas.exporters.engine import ENGINES
from hwnas.exporters.onnx_export import NODE_KEY
from hwnas.ops.spec import OPS
from tests.exporters.nets import CLASSES

FILES = [name for name in ("onnxruntime", "openvino") if ENGINES.get(name).available()]


@pytest.mark.parametrize("op", ["max_pool_7x7", "sep_conv_5x5", "add", "conv_3x3"])
def test_offers_take_the_same_inputs_and_parameters(op: str) -> None:
    offered = instead_of(op).partition("such as ")[2].split(" or ")
    assert op not in offered and len(offered) == 2
    spec = OPS.get(op)
    for other in map(OPS.get, offered):
        assert (other.family, other.arity) == (spec.family, spec.arity)
        other.complete(
            {name: value for name, value in {**spec.defaults, "channels": 4}.items() if name in other.defaults}
        )


@pytest.fixture
def path(exported) -> Path:
    return Path(exported["logits"].path)


def test_a_named_node_is_the_one(path: Path, network) -> None:
    node = next(node for node in onnx.load(path).graph.node if node.name.endswith("/Conv_2"))
    origin = node.metadata_props[0].value
    told = blamed(ArtifactError(f"OpenVINO cannot open {path}: no kernel for {node.name!r}"), path, network.graph)
    assert told.message.endswith(f"(node {origin!r}, {network.graph.node(origin).op})")
    assert told.hint == instead_of(network.graph.node(origin).op)


def test_a_kind_of_node_is_its_first(path: Path, network) -> None:
    first = next(node for node in onnx.load(path).graph.node if node.op_type == "Resize")
    told = blamed(ArtifactError("unsupported operations: Resize-18", "newer"), path, network.graph)
    assert f"node {first.metadata_props[0].value!r}" in told.message


def test_what_names_no_node_stays_as_it_is(path: Path, network) -> None:
    error = ArtifactError("the disk is on fire", "put it out")
    assert blamed(error, path, network.graph) is error


@pytest.mark.parametrize("engine", FILES)
def test_an_engine_that_lacks_an_op_says_of_which_node(
    engine: str, exported, network, genotype, tmp_path: Path
) -> None:
    """A kind of ONNX node that no engine has, in place of one in the middle of the network."""
    model = onnx.load(exported["logits"].path)
    odd = [node for node in model.graph.node if node.op_type == "Relu"][2]
    origin = next(note.value for note in odd.metadata_props if note.key == NODE_KEY)
    odd.op_type, odd.domain = "Bessel", "somebody.else"
    model.opset_import.add(domain="somebody.else", version=1)
    with pytest.raises(ArtifactError) as refused:
        export_artifact(network, genotype, tmp_path / "a", engine=engine, model=model, classes=CLASSES)
    assert f"node {origin!r}, {network.graph.node(origin).op}" in refused.value.message
    assert "such as" in refused.value.hint
