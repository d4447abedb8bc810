from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as np_arrays

from hwnas.data.cache import Arrays
from hwnas.data.preprocess import normalize, normalize_array
from hwnas.data.scoring import score_of
from hwnas.errors import ArtifactError, BudgetError
from hwnas.exporters.artifact import Artifact
from hwnas.exporters.benchmark import benchmark
from hwnas.exporters.criteria import Criteria
from hwnas.exporters.validate import confusion_of, evaluate_engine, validate
from hwnas.training.metrics import Meter, evaluate

CLASSES = 5
labels = np_arrays(np.uint8, (2, 6, 7), elements=st.integers(0, CLASSES - 1))
masks = np_arrays(np.uint8, (2, 6, 7), elements=st.sampled_from([*range(CLASSES), 255]))


@pytest.fixture(scope="module")
def data() -> Arrays:
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (5, 70, 102, 3), dtype=np.uint8)
    truth = rng.integers(0, CLASSES, (5, 70, 102)).astype(np.uint8)
    truth[:, :10] = 255
    return Arrays(images, truth, tuple("abcde"))


def test_a_hand_made_confusion() -> None:
    truth = np.array([[0, 0, 1, 1, 255, 255]], np.uint8)
    predicted = np.array([[0, 1, 1, 1, 0, 4]], np.uint8)
    confusion = confusion_of(predicted, truth, 5)
    assert confusion[:2, :2].tolist() == [[1, 1], [0, 2]] and confusion.sum() == 4
    score = score_of(confusion)
    miou, ious = score.miou, score.ious
    assert ious[:2] == (0.5, pytest.approx(2 / 3)) and all(np.isnan(ious[2:]))
    assert miou == pytest.approx((0.5 + 2 / 3) / 2)


def test_nothing_labelled_is_zero() -> None:
    assert score_of(np.zeros((3, 3), np.int64)).miou == 0.0


@settings(deadline=None, max_examples=60)
@given(labels, masks)
def test_agrees_with_torchmetrics(predicted: np.ndarray, truth: np.ndarray) -> None:
    meter = Meter(CLASSES)
    meter.update(predicted, truth)
    expected = meter.score()
    score = score_of(confusion_of(predicted, truth, CLASSES))
    assert score.miou == pytest.approx(expected.miou)
    np.testing.assert_allclose(score.ious, expected.ious, equal_nan=True)


def test_preprocessing_is_torchs() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(normalize_array(images), normalize(torch.from_numpy(images)).numpy())


@pytest.mark.parametrize("kind", ["logits", "labels"])
def test_the_engine_scores_as_pytorch_does(exported, network, data, kind) -> None:
    expected = evaluate(network, data, CLASSES)
    with exported[kind].open() as session:
        score = evaluate_engine(session, data.images, data.masks, CLASSES)
    assert score.miou == pytest.approx(expected.miou, abs=1e-4)
    assert score.accuracy == pytest.approx(expected.accuracy, abs=1e-4)
    np.testing.assert_allclose(score.ious, expected.ious, atol=1e-3, equal_nan=True)


def test_pass_with_everything_in_it(exported, network, data) -> None:
    miou_torch = evaluate(network, data, CLASSES).miou
    verdict = validate(
        exported["logits"], data, Criteria(budget_ms=1000), predicted_ms=3.0, miou_torch=miou_torch, seconds=0.1
    )
    assert verdict.passed and verdict.reasons == ()
    document = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
    wanted = {
        "verdict",
        "reasons",
        "miou",
        "miou_torch",
        "predicted_ms",
        "p50_ms",
        "p90_ms",
        "p99_ms",
        "fps",
        "contract",
    }
    assert wanted <= set(document)
    assert document["verdict"] == "PASS" and document["slowdown"] is None


def test_a_slower_machine_is_named(exported, data) -> None:
    now = benchmark(exported["logits"], seconds=0.1).contract
    then = dataclasses.replace(now, reference_ms=now.reference_ms / 4)
    verdict = validate(
        exported["logits"], data, Criteria(budget_ms=1e-3), predicted_ms=1.0, predicted_by=then, seconds=0.1
    )
    assert verdict.slowdown is not None and verdict.slowdown > 0.5
    assert "slower than when the latency table was made" in verdict.reasons[0]


def test_fail_says_which_number_failed(exported, data) -> None:
    verdict = validate(exported["logits"], data, Criteria(budget_ms=1e-3, budget_at="p99"), miou_torch=0.9, seconds=0.1)
    assert verdict.verdict == "FAIL" and len(verdict.reasons) == 2
    assert "latency p99 is" in verdict.reasons[0] and "over the budget of 0.001 ms" in verdict.reasons[0]
    assert "below PyTorch's 90.00%" in verdict.reasons[1]


def test_bad_budgets_and_data(exported, data) -> None:
    with pytest.raises(BudgetError, match="cannot be met"):
        validate(exported["logits"], data, Criteria(budget_ms=0))
    small = dataclasses.replace(data, images=data.images[:, :64], masks=data.masks[:, :64])
    with pytest.raises(ArtifactError, match="takes images of 70x102, but the data is 64x102"):
        validate(exported["logits"], small, Criteria(budget_ms=10))
    with pytest.raises(ArtifactError, match="of how many classes"):
        validate(Artifact(exported["labels"].path), data, Criteria(budget_ms=10))


def test_an_engine_with_more_classes_than_the_data(exported, data) -> None:
    with exported["logits"].open() as session, pytest.raises(ArtifactError, match="the data set has 2 classes"):
        evaluate_engine(session, data.images, np.full_like(data.masks, 1), 2)


def test_deadlines_that_are_met(exported, data) -> None:
    criteria = Criteria(fps=20, deadline_s=0.5, max_missed=0.9, max_p99_ms=5000)
    verdict = validate(exported["labels"], data, criteria, seconds=0.1)
    assert verdict.passed and verdict.deadlines is not None and verdict.deadlines.frames == 10
    assert [check.name for check in verdict.checks] == ["latency limit p99", "deadlines"]
    document = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
    assert document["deadlines"]["fps_wanted"] == 20 and len(document["checks"]) == 2


def test_deadlines_that_no_engine_meets_say_the_true_rate(exported, data) -> None:
    frames = data.images[:1]
    verdict = validate(exported["logits"], data, Criteria(fps=1e5, deadline_s=0.01), frames=frames, seconds=0.1)
    assert not verdict.passed and "the true rate is" in verdict.reasons[0] and verdict.budget_ms is None


def test_criteria_that_are_none() -> None:
    faults = {"budget_ms": 0.0, "max_p99_ms": -1.0, "fps": 0.0, "deadline_s": 0.0, "max_missed": 5.0}
    limits = {"budget_ms": math.inf, "fps": math.inf, "deadline_s": math.nan, "max_miou_gap": math.nan}
    for name, value in (*faults.items(), *limits.items()):
        with pytest.raises(BudgetError):
            Criteria(**{"fps": 30.0, name: value})
