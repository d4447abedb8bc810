"""What an exported graph takes and gives: pixels or normalised images, one or several, logits or labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.data.preprocess import MEAN, STD, input_contract
from hwnas.errors import ArtifactError
from hwnas.exporters.batches import batched
from hwnas.exporters.engine import ANY
from hwnas.exporters.onnx_export import NODE_KEY

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

MOST_LABELS = 256
"""Labels are bytes."""

PREPROCESS_NODE, ARGMAX_NODE = "preprocess", "argmax"
"""Under which node the ONNX nodes of the ends stand; no op graph has them."""


@dataclass(frozen=True)
class Ends:
    """How a graph begins and ends."""

    argmax: bool = False
    """Labels uint8 (N, H, W) instead of logits: the class of the greatest one, the first where equal."""
    preprocess: bool = False
    """Takes uint8 (N, H, W, 3) RGB and normalises it, instead of float32 (N, 3, H, W)."""
    batch: int | None = 1
    """Images at a time; None: any number."""

    def put_on(self, model: ModelProto) -> ModelProto:
        """A copy of ``model``, exported for one normalised image to logits, with these ends."""
        from onnx import checker

        if self.argmax and (count := model.graph.output[0].type.tensor_type.shape.dim[1].dim_value) > MOST_LABELS:
            raise ArtifactError(
                f"labels are bytes, and the network has {count} classes", "export logits: leave --argmax out"
            )
        changed = batched(model, self.batch)
        if self.preprocess:
            _normalise_inside(changed)
        if self.argmax:
            _label_inside(changed)
        checker.check_model(changed, full_check=True)
        return changed

    def describe_input(self, shape: Sequence[int]) -> dict[str, Any]:
        """The manifest's ``input`` for images (C, H, W)."""
        batch, (channels, height, width) = self._batch(), shape
        contract = input_contract()
        if not self.preprocess:
            return {"name": "image", "shape": [batch, channels, height, width], **contract}
        inside = {"layout": "NHWC", "dtype": "uint8", "range": "0..255; (x / 255 - mean) / std is computed inside"}
        return {"name": "image", "shape": [batch, height, width, channels], **contract, **inside}

    def describe_output(self, shape: Sequence[int]) -> dict[str, Any]:
        """The manifest's ``output`` for logits (K, H, W)."""
        batch, (classes, height, width) = self._batch(), shape
        if self.argmax:
            kind = {"name": "labels", "kind": "labels", "shape": [batch, height, width], "dtype": "uint8"}
            layout = "NHW"
        else:
            kind = {"name": "logits", "kind": "logits", "shape": [batch, classes, height, width], "dtype": "float32"}
            layout = "NCHW"
        upsampling = "inside, bilinear, align_corners false, to the input's size"
        return {**kind, "layout": layout, "upsampling": upsampling}

    def _batch(self) -> int:
        return ANY if self.batch is None else self.batch


def _normalise_inside(model: ModelProto) -> None:
    """Bytes in; the same subtraction and division, in the same order, as outside (``normalize_array``)."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    (end,) = graph.input
    name, inner = end.name, f"{end.name}_normalised"
    for node in graph.node:
        node.input[:] = [inner if read == name else read for read in node.input]
    batch, channels, height, width = end.type.tensor_type.shape.dim
    sizes = [batch.dim_param or batch.dim_value, height.dim_value, width.dim_value, channels.dim_value]
    end.CopyFrom(helper.make_tensor_value_info(name, TensorProto.UINT8, sizes))
    for key, values in (("mean", MEAN), ("std", STD)):
        constant = np.array(values, np.float32).reshape(1, 3, 1, 1) * np.float32(255)
        graph.initializer.append(numpy_helper.from_array(constant, f"{name}_{key}"))
    steps = [
        helper.make_node("Transpose", [name], [f"{name}_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", [f"{name}_planes"], [f"{name}_float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", [f"{name}_float", f"{name}_mean"], [f"{name}_centred"]),
        helper.make_node("Div", [f"{name}_centred", f"{name}_std"], [inner]),
    ]
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*_of_node(steps, PREPROCESS_NODE), *rest])


def _label_inside(model: ModelProto) -> None:
    from onnx import TensorProto, helper

    graph = model.graph
    (end,) = graph.output
    batch, _, height, width = end.type.tensor_type.shape.dim
    sizes = [batch.dim_param or batch.dim_value, height.dim_value, width.dim_value]
    steps = [
        helper.make_node("ArgMax", [end.name], ["classes"], axis=1, keepdims=0),
        helper.make_node("Cast", ["classes"], ["labels"], to=TensorProto.UINT8),
    ]
    graph.node.extend(_of_node(steps, ARGMAX_NODE))
    end.CopyFrom(helper.make_tensor_value_info("labels", TensorProto.UINT8, sizes))


def _of_node(steps: Sequence[NodeProto], origin: str) -> Sequence[NodeProto]:
    """The ONNX nodes, named as those of a node of the op graph."""
    for step in steps:
        step.name = f"{origin}/{step.op_type}_1"
        step.metadata_props.add(key=NODE_KEY, value=origin)
    return steps
