"""Every op of the catalogue builds into a TensorRT-RTX engine for a GPU that is not here, in every precision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from hwnas.errors import HwnasError
from hwnas.exporters.engine import ENGINES
from hwnas.exporters.graph_form import is_quantized
from hwnas.exporters.half import in_half
from hwnas.exporters.kernels import export_ops
from hwnas.exporters.quantized import quantized_to_time
from hwnas.ops.spec import OPS
from tests.exporters.test_kernels import key_of

RTX = ENGINES.get("tensorrt-rtx")
pytestmark = pytest.mark.skipif(not RTX.available(), reason=f"{RTX.available().problem}; {RTX.available().hint}")

FORMS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    "fp32": lambda model: model,
    "fp16": lambda model: in_half(model, ends=False),
    "int8": lambda model: quantized_to_time(model, symmetric=True),
}


@pytest.fixture(scope="module")
def models() -> dict[str, onnx.ModelProto]:
    names = OPS.names()
    return dict(zip(names, export_ops([key_of(op) for op in names]), strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_every_op_builds(form: str, models, tmp_path: Path) -> None:
    failed = {}
    for name, model in models.items():
        made = FORMS[form](model)
        path = tmp_path / f"{name}.onnx"
        onnx.save(made, path)
        try:
            # the graph says what is half; only that it is quantized must be said
            engine = RTX.build(
                path, precision="int8" if is_quantized(made) else "fp32", out_dir=tmp_path, targets=["sm86"]
            )
            assert engine.stat().st_size > 1000, name
        except HwnasError as error:
            failed[name] = error.message
    assert not failed
