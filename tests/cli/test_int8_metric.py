"""``miou_int8``: what the engine gives for a quantized network, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from small_world import DECISIONS, SIZE_HW, SmallWorld

from hwnas.cli.stages.int8_metric import int8_measure, int8_miou
from hwnas.compiler.network import compile_graph
from hwnas.data.preprocess import normalize_array
from hwnas.exporters.calibration import collect_ranges
from hwnas.exporters.onnx_export import network_as_onnx
from hwnas.exporters.quantized import quantize
from hwnas.exporters.untrained import randomise
from hwnas.search.evaluators.base import Shown
from hwnas.skeletons.base import expand


def test_it_is_that_of_the_quantized_network_on_the_held_out_images() -> None:
    import onnxruntime

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, *SIZE_HW, 3), dtype=np.uint8)
    masks = rng.integers(0, 2, (2, *SIZE_HW)).astype(np.uint8)
    masks[:, :8] = 255
    network = compile_graph(expand(SmallWorld().decode(DECISIONS).genotype, (3, *SIZE_HW), 2), seed=0)
    randomise(network, 0)
    found = int8_miou(network.eval(), Shown(images[2:], images[:2], masks, 2))

    model = network_as_onnx(network)
    graph = quantize(model, collect_ranges(model, images[2:], "minmax"))
    assert any(node.op_type == "QuantizeLinear" for node in graph.graph.node)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    logits = np.concatenate([session.run(None, {"image": normalize_array(image[None])})[0] for image in images[:2]])
    labels, counted = logits.argmax(1), masks != 255
    ious = []
    for label in range(2):
        true, predicted = masks == label, labels == label
        ious.append((true & predicted & counted).sum() / ((true | predicted) & counted).sum())
    assert found == pytest.approx(np.mean(ious), abs=1e-3)
    assert int8_measure().what == "onnxruntime int8 minmax 32"
