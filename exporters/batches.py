"""Graphs for several images at a time: the exporter writes one for a single image, with every shape static."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnas.exporters.onnx_export import NODE_KEY

if TYPE_CHECKING:
    from onnx import ModelProto

COPIED = 0
"""In the shape that a Reshape is given: the input's own size."""

BATCH_NODE = "batch"
"""Under which node the ONNX nodes stand that count images; no op graph has it."""


def batched(model: ModelProto, batch: int | None) -> ModelProto:
    """A copy of ``model``, exported for one image, that takes ``batch`` of them, or with None any number.

    Besides the ends, only the sizes and shapes that a Resize or a Reshape is given know the number of images, and
    constant maps (of the op ``none``) that a Concat puts beside others.
    """
    from onnx import ModelProto, numpy_helper

    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for end in [*copy.graph.input, *copy.graph.output]:
        first = end.type.tensor_type.shape.dim[0]
        first.Clear()
        if batch is None:
            first.dim_param = "batch"
        else:
            first.dim_value = batch
    sizes, shapes, maps = _given(copy, "Resize", 3), _given(copy, "Reshape", 1), _constant_maps(copy)
    if batch is None:
        _as_many(copy, sizes, maps)
        _copy_sizes_of_zero(copy)
    for item in copy.graph.initializer:
        if item.name not in sizes | shapes | maps:
            continue
        values = numpy_helper.to_array(item)
        if item.name in maps:
            changed = values if batch is None else np.repeat(values, batch, axis=0)
        elif item.name in sizes:
            changed = values[1:] if batch is None else np.concatenate([[batch], values[1:]])
        else:
            first_size = COPIED if batch is None else batch
            changed = np.concatenate([[first_size if values[0] == 1 else values[0]], values[1:]])
        item.CopyFrom(numpy_helper.from_array(changed.astype(values.dtype), item.name))
    return copy


def _given(model: ModelProto, kind: str, slot: int) -> set[str]:
    """Names of the constants that nodes of a kind take in a place."""
    return {node.input[slot] for node in model.graph.node if node.op_type == kind and len(node.input) > slot}


def _constant_maps(model: ModelProto) -> set[str]:
    """Names of the constants (1, C, H, W) that a Concat puts beside maps of images."""
    read = {name for node in model.graph.node if node.op_type == "Concat" for name in node.input}
    return {item.name for item in model.graph.initializer if item.name in read and len(item.dims) == 4}


def _as_many(model: ModelProto, sizes: set[str], maps: set[str]) -> None:
    """Put the number of images that came in before the sizes that every Resize is given, which then lack their first,
    and give constant maps as many images.

    (That a Resize may name the axes that its sizes are of, ONNX Runtime forgets where it changes a graph's layout.)
    """
    from onnx import helper, numpy_helper

    if not sizes | maps:
        return
    number, others = f"{model.graph.input[0].name}_number", "batch_others"
    made = [helper.make_node("Shape", [model.graph.input[0].name], [number], name="batch/Shape_1", start=0, end=1)]
    made += [
        helper.make_node("Concat", [number, name], [f"{name}_of_all"], name=f"batch/Concat_{place}", axis=0)
        for place, name in enumerate(sorted(sizes), 1)
    ]
    if maps:
        model.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.int64), others))
        made.append(helper.make_node("Concat", [number, others], ["batch_shape"], name="batch/Concat_0", axis=0))
    made += [
        helper.make_node("Expand", [name, "batch_shape"], [f"{name}_of_all"], name=f"batch/Expand_{place}")
        for place, name in enumerate(sorted(maps), 1)
    ]
    for node in model.graph.node:
        node.input[:] = [f"{name}_of_all" if name in sizes | maps else name for name in node.input]
    for node in made:
        node.metadata_props.add(key=NODE_KEY, value=BATCH_NODE)
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*made, *rest])


def _copy_sizes_of_zero(model: ModelProto) -> None:
    """Let :data:`COPIED` mean what it does in every Reshape; the exporter writes them so that it means no pixels."""
    for node in model.graph.node:
        if node.op_type == "Reshape":
            kept = [attribute for attribute in node.attribute if attribute.name != "allowzero"]
            del node.attribute[:]
            node.attribute.extend(kept)
