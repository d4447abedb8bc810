"""Graphs in half precision, for engines on a GPU that read the precision from the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.optional import require

if TYPE_CHECKING:
    from onnx import ModelProto


def in_half(model: ModelProto, *, ends: bool) -> ModelProto:
    """A copy of ``model`` with fp16 weights and tensors; inputs and outputs, too, if ``ends``."""
    from onnx import ModelProto

    converter = require("onnxruntime.transformers.float16", extra="cpu")
    copy = ModelProto()
    copy.CopyFrom(model)
    half: ModelProto = converter.convert_float_to_float16(copy, keep_io_types=not ends)
    return half
