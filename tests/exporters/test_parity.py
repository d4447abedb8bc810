from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwnas.exporters.build import export_artifact
from hwnas.exporters.engine import ENGINES
from hwnas.exporters.parity import TOLERANCES, check_parity, compare, merge
from tests.exporters.nets import graph_of, random_genotype, random_network


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, 5, 20, 30)).astype(np.float32)


def test_equal_logits_have_no_difference(logits) -> None:
    result = compare(logits, logits.copy())
    assert result.ok and (result.max_abs, result.max_relative, result.equal_labels) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda x: x[:, :, :10], "shape: the engine gives 1x5x10x30"),
        (lambda x: x.astype(np.float16), "type: the engine gives float16"),
        (lambda x: np.where(x > 2, np.nan, x).astype(np.float32), "not finite"),
        (lambda x: x * np.float32(1.01), "values: logits differ by up to"),
        (lambda x: x.argmax(1), "type: the engine gives int64"),
    ],
)
def test_each_difference_has_its_message(logits, change, kind) -> None:
    result = compare(logits, change(logits))
    assert len(result.differences) == 1 and kind in result.differences[0]


def test_values_and_labels_are_both_told(logits) -> None:
    result = compare(logits, np.roll(logits, 1, axis=1))
    assert [difference.partition(":")[0] for difference in result.differences] == ["values", "labels"]
    assert result.equal_labels < 0.5


def test_labels_against_logits(logits) -> None:
    labels = logits.argmax(1).astype(np.uint8)
    assert compare(logits, labels).ok
    labels[0, :2] = (labels[0, :2] + 1) % 5
    result = compare(logits, labels)
    assert result.equal_labels == pytest.approx(0.9)
    assert result.differences == ("labels: 10.00% of the pixels get another label (more than 0.10%)",)


def test_merging_keeps_the_worst(logits) -> None:
    merged = merge([compare(logits, logits), compare(logits, logits * np.float32(1.01))])
    assert merged.images == 2 and not merged.ok
    assert merged.differences[0].endswith("(image 1)")
    assert merged.max_abs == pytest.approx(0.01 * np.abs(logits).max(), rel=1e-3)


@pytest.mark.parametrize("kind", ["logits", "labels"])
def test_an_exported_network_agrees_on_images(exported, network, images, kind) -> None:
    result = check_parity(network, exported[kind], images)
    assert result.ok, result.differences
    assert result.images == 4 and result.equal_labels > 0.999


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "picture", "shape": [2, 3, 70, 102]}, "names: the engine's input is image, not picture"),
        ({"shape": [1, 3, 70, 100], "dtype": "uint8"}, "shape: the engine's input is 1x3x70x102, not 1x3x70x100"),
        ({"dtype": "float16"}, "type: the engine's input is float32, not float16"),
    ],
    ids=["names", "shapes", "types"],
)
def test_a_file_that_is_not_what_its_manifest_says(exported, network, images, changed, said) -> None:
    artifact = exported["logits"]
    manifest = replace(artifact.manifest, input={**artifact.manifest.input, **changed})
    assert check_parity(network, replace(artifact, manifest=manifest), images).differences == (said,)


def test_other_weights_are_noticed(exported, network, images) -> None:
    other = random_network(network.graph, seed=1)
    assert [difference[:6] for difference in check_parity(other, exported["logits"], images).differences] == [
        "values",
        "labels",
    ]


@pytest.mark.parametrize("engine", [name for name in ("onnxruntime", "openvino") if ENGINES.get(name).available()])
@pytest.mark.parametrize("size_hw", [(33, 47), (91, 129)])
def test_upsampling_and_padding_agree_at_odd_sizes(size_hw, engine, tmp_path) -> None:
    genotype = random_genotype(5)
    network = random_network(graph_of(genotype, size_hw))
    images = np.random.default_rng(0).integers(0, 256, (2, *size_hw, 3), dtype=np.uint8)
    result = check_parity(network, export_artifact(network, genotype, tmp_path, engine=engine), images)
    assert result.ok, result.differences
    assert result.max_relative < 1e-4


def test_precisions_have_tolerances_of_their_own(logits) -> None:
    off = logits * np.float32(1.01)
    assert not compare(logits, off).ok
    assert compare(logits, off, tolerance=TOLERANCES["fp16"]).ok
    assert compare(logits, -logits, tolerance=TOLERANCES["int8"]).ok
    broken = np.where(logits > 2, np.nan, logits).astype(np.float32)
    assert not compare(logits, broken, tolerance=TOLERANCES["int8"]).ok
