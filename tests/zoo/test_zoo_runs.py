"""A hand-designed network in ONNX Runtime gives the logits that it gives in PyTorch (all: benchmarks/zoo.py --run)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hwnas.compiler.network import compile_graph
from hwnas.exporters.onnx_export import export_network
from hwnas.exporters.untrained import randomise
from hwnas.skeletons.base import expand
from hwnas.zoo.catalog import load


@pytest.mark.parametrize("name", ["enet", "pp-liteseg-t"])
def test_onnxruntime_gives_what_torch_gives(name: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    network = compile_graph(expand(load(name), (3, 65, 98), 5), seed=0)
    randomise(network, 0)
    export_network(network.eval(), tmp_path / "net.onnx")
    image = torch.randn(1, 3, 65, 98, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = network(image)
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    assert (torch.from_numpy(logits) - wanted).abs().max() < 1e-4 * wanted.abs().max()
