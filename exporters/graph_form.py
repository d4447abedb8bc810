"""What an ONNX graph is made for: floats, or eight-bit integers between QuantizeLinear and DequantizeLinear (QDQ)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.errors import ArtifactError

if TYPE_CHECKING:
    from onnx import ModelProto


def is_quantized(model: ModelProto) -> bool:
    """Whether anything in the graph is dequantized."""
    return any(node.op_type == "DequantizeLinear" for node in model.graph.node)


def check_form(path: Path, precision: str, offered: Sequence[str], engine: str) -> None:
    """Refuse, with an ArtifactError, a precision that an engine lacks or that the graph of ``path`` is not made for."""
    if precision not in offered:
        raise ArtifactError(
            f"the engine {engine} does not compute in {precision} here", f"choose one of: {', '.join(offered)}"
        )
    from google.protobuf.message import DecodeError
    from onnx import load

    try:
        quantized = is_quantized(load(path))
    except DecodeError as error:
        raise ArtifactError(f"{path} is not an ONNX file ({error})", "export it again") from error
    if quantized != (precision == "int8"):
        found, wanted = ("a quantized", "a float") if quantized else ("a float", "a quantized (QDQ)")
        raise ArtifactError(
            f"{path} is {found} graph, and {precision} in {engine} is built from {wanted} one",
            "quantize it first" if precision == "int8" else "give the graph as it was before it was quantized",
        )
