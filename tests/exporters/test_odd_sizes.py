"""Padding, pooling and upsampling at sizes that no stride divides: every engine gives what PyTorch gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from hwnas.exporters.engine import ENGINES
from hwnas.exporters.fold import fold_batchnorm
from hwnas.exporters.onnx_export import export_modules
from hwnas.exporters.untrained import randomise
from hwnas.ops.spec import OPS

SHAPE = (6, 23, 37)
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "stride 2": ("conv_3x3", {"channels": 4, "stride": 2}),
    "dilated": ("conv_3x3", {"channels": 4, "dilation": 2}),
    "depthwise, stride 2": ("dw_conv_5x5", {"stride": 2}),
    "max pooling": ("max_pool_3x3", {"stride": 2}),
    "average pooling, padding not counted": ("avg_pool_3x3", {"stride": 2}),
    "factorised reduction": ("factorized_reduce", {"channels": 6}),
    "bilinear, not aligned": ("resize_bilinear", {"height": 45, "width": 75}),
    "bilinear, smaller": ("resize_bilinear", {"height": 7, "width": 20}),
    "nearest": ("resize_nearest", {"height": 51, "width": 70}),
    "pyramid of pools": ("pyramid_pool", {"channels": 4}),
}
FILES = [name for name in ("onnxruntime", "openvino") if ENGINES.get(name).available()]


@pytest.fixture(scope="module")
def exported() -> dict[str, tuple[nn.Module, onnx.ModelProto]]:
    modules = {}
    for name, (op, given) in CASES.items():
        spec = OPS.get(op)
        params = {**spec.defaults, **given}
        module = spec.module([SHAPE], params).build()
        randomise(module, 0)
        modules[name] = fold_batchnorm(module.eval())
    models = export_modules([(module, [SHAPE]) for module in modules.values()], names=list(modules))
    return {name: (modules[name], model) for name, model in zip(modules, models, strict=True)}


@pytest.mark.parametrize("engine", FILES)
@pytest.mark.parametrize("case", CASES)
def test_odd_sizes(case: str, engine: str, exported, tmp_path: Path) -> None:
    module, model = exported[case]
    path = tmp_path / "op.onnx"
    onnx.save(model, path)
    image = np.random.default_rng(0).standard_normal((1, *SHAPE), dtype=np.float32)
    with torch.no_grad():
        wanted = module(torch.from_numpy(image)).numpy()
    # OpenVINO opens ONNX files as they are; built ones are tested with whole networks
    with ENGINES.get(engine).open(path, threads=1) as session:
        given = session.run(image)
    assert given.shape == wanted.shape
    np.testing.assert_allclose(given, wanted, rtol=1e-4, atol=1e-5 * float(np.abs(wanted).max()))
