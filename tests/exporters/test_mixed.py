"""Calibration on images, and mixes of float and eight bits."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from hwnas.data.preprocess import normalize_array
from hwnas.errors import ArtifactError
from hwnas.exporters.attribution import origins_of_onnx
from hwnas.exporters.build import export_artifact
from hwnas.exporters.calibration import METHODS, collect_ranges
from hwnas.exporters.engine import ENGINES
from hwnas.exporters.mixed import EMPTY, Bench, Labelled, Trial, choose, compare_calibrations, compare_forms, mixes_of
from hwnas.exporters.onnx_export import network_as_onnx
from hwnas.exporters.parity import check_parity
from hwnas.exporters.quantized import plausible_ranges, quantize
from hwnas.exporters.sensitivity import Part, measure_parts, onnx_names
from tests.exporters.nets import CLASSES, SIZE_HW
from tests.exporters.test_ends import run

ENGINES_HERE = [name for name in ("onnxruntime", "openvino") if ENGINES.get(name).available()]


@pytest.fixture(scope="module")
def model(network) -> onnx.ModelProto:
    return network_as_onnx(network)


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    """Smooth images, as of a camera."""
    noise = np.random.default_rng(1).integers(0, 256, (4, 7, 10, 3), dtype=np.uint8)
    return noise.repeat(10, 1).repeat(11, 2)[:, : SIZE_HW[0], : SIZE_HW[1]].copy()


@pytest.fixture(scope="module")
def ranges(model, photos) -> dict[str, tuple[float, float]]:
    return collect_ranges(model, photos, "minmax")


def test_minmax_is_what_occurred(model, photos, ranges) -> None:
    logits = np.concatenate([run(model, normalize_array(photos[i : i + 1])) for i in range(len(photos))])
    assert ranges["logits"] == pytest.approx((logits.min(), logits.max()), rel=1e-4)
    inputs = normalize_array(photos)
    assert ranges["image"] == pytest.approx((inputs.min(), inputs.max()), rel=1e-6)
    assert set(plausible_ranges(model)) - set(ranges) <= {i.name for i in model.graph.initializer}


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"minmax"}))
def test_other_calibrations_cut_off_what_is_rare(model, photos, ranges, method) -> None:
    found = collect_ranges(model, photos[:2], method)
    assert set(found) == set(ranges)
    widths = {name: (high - low) / max(ranges[name][1] - ranges[name][0], 1e-9) for name, (low, high) in found.items()}
    assert max(widths.values()) < 1.1 and min(widths.values()) < 1


def test_a_calibrated_network_keeps_most_labels(network, genotype, model, photos, ranges, tmp_path) -> None:
    made = quantize(model, ranges)
    artifact = export_artifact(
        network,
        genotype,
        tmp_path,
        precision="int8",
        model=made,
        quantization={"calibration": "minmax", "images": len(photos)},
        preprocess=True,
        argmax=True,
        batch=2,
        classes=CLASSES,
    )
    assert artifact.manifest.quantization["images"] == 4
    result = check_parity(network, artifact, photos)
    assert result.ok and result.equal_labels > 0.8


@pytest.mark.parametrize(
    ("images", "method", "said"),
    [
        (np.zeros((0, *SIZE_HW, 3), np.uint8), "minmax", "no images"),
        (np.zeros((1, 70, 100, 3), np.uint8), "minmax", "are 70x100, and the network takes 70x102"),
        (np.zeros((1, *SIZE_HW, 3), np.uint8), "mean", "no calibration 'mean'"),
    ],
)
def test_bad_calibration(model, images, method, said) -> None:
    with pytest.raises(ArtifactError, match=said):
        collect_ranges(model, images, method)


def test_what_is_kept_in_float_is_not_quantized(model, ranges) -> None:
    every = {node.name for node in model.graph.node}
    assert not any(n.op_type == "QuantizeLinear" for n in quantize(model, ranges, keep_float=every).graph.node)
    kept = onnx_names(model, ["classifier"])
    made = quantize(model, ranges, keep_float=kept)
    dequantized = {o for n in made.graph.node if n.op_type == "DequantizeLinear" for o in n.output}
    for node in made.graph.node:
        if node.op_type == "Conv":
            assert (node.input[1] in dequantized) == (node.name not in kept)


def test_a_part_alone_costs_no_more_than_its_share(model, photos, ranges) -> None:
    parts = measure_parts(model, ranges, photos[:1], float_times=None, int8_times=None)
    assert all(0 <= part.error < 1 and part.gain_ms is None for part in parts)
    names = [name for part in parts for name in part.nodes]
    assert len(names) == len(set(names))
    exact = run(model, normalize_array(photos[:1]))
    whole = run(quantize(model, ranges), normalize_array(photos[:1]))
    error = np.sqrt(np.mean((whole - exact) ** 2)) / exact.std()
    assert 0.2 * error < np.sqrt(sum(part.error**2 for part in parts)) < 5 * error


def test_mixes_leave_first_what_gains_nothing_then_what_costs_most() -> None:
    parts = [Part(("a",), 0.5, -0.1), Part(("b", "c"), 0.1, 1.0), Part(("d",), 0.3, 1.0), Part(("e",), 0.4, 8.0)]
    assert mixes_of(parts) == [
        Trial("mixed-1", ("a",)),
        Trial("mixed-2", ("a", "d")),
        Trial("mixed-3", ("a", "d", "b", "c")),
    ]
    unknown = [Part(("a",), 0.5), Part(("b",), 0.7)]
    assert mixes_of(unknown) == [Trial("mixed-1", ("b",))]


def test_the_fastest_that_holds_the_accuracy_is_chosen() -> None:
    trials = [
        Trial("fp32", (), 0.60, 4.0),
        Trial("int8", (), 0.50, 1.0),
        Trial("mixed-1", ("a",), 0.596, 2.0),
        Trial("mixed-2", ("a", "b"), 0.598, 2.5),
        Trial("mixed-4", ("c",), problem="crashed"),
    ]
    assert [choose(trials, drop).name for drop in (0.2, 0.005, 0.003, 0.0)] == ["int8", "mixed-1", "mixed-2", "fp32"]


def test_a_mix_without_int8_says_so(model, ranges, tmp_path) -> None:
    bench = Bench(model, ranges, "onnxruntime", tmp_path)
    every = tuple(origins_of_onnx(model).kinds)
    with pytest.raises(ArtifactError, match=EMPTY):
        bench.build(Trial("mixed-all", every))


@pytest.fixture(scope="module")
def labelled(model, photos) -> Labelled:
    """Two images with the labels that the float network gives them."""
    labels = [run(model, normalize_array(photos[i : i + 1]))[0].argmax(0) for i in range(2)]
    return Labelled(photos[:2], np.stack(labels).astype(np.uint8), 5)


def test_calibrations_are_compared_by_what_they_cost(model, ranges, labelled, tmp_path) -> None:
    cut = {name: (low / 20, high / 20) for name, (low, high) in ranges.items()}
    benches = {
        name: Bench(model, each, "onnxruntime", tmp_path / name) for name, each in {"whole": ranges, "cut": cut}.items()
    }
    scores = compare_calibrations(benches, labelled)
    assert list(scores) == ["whole", "cut"] and scores["whole"] > scores["cut"]


@pytest.mark.parametrize("engine", ENGINES_HERE)
def test_forms_side_by_side(engine, model, labelled, ranges, tmp_path) -> None:
    bench = Bench(model, ranges, engine, tmp_path, seconds=0.1)
    trials = compare_forms(bench, labelled, mixes=engine == "onnxruntime")
    assert [trial.name for trial in trials][:2] == ["fp32", "int8"]
    assert trials[0].miou == pytest.approx(1.0, abs=1e-3)
    assert all((trial.p50_ms or 0) > 0 and 0 <= (trial.miou or 0) <= 1 for trial in trials if not trial.problem)
    if engine == "onnxruntime":
        assert len(trials) > 2 and {trial.problem for trial in trials} <= {"", EMPTY}
