from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from hwnas.data.preprocess import normalize_array
from hwnas.errors import HwnasError
from hwnas.exporters.benchmark import benchmark
from hwnas.exporters.engine import Port
from hwnas.exporters.scopes import SCOPES, call_of, inside_of, labels_of
from hwnas.exporters.streams import throughput
from hwnas.progress import Silent


class Recorder:
    """A session that keeps what it was given; it answers with what its output says."""

    def __init__(self, labels: bool) -> None:
        self.input = Port("image", (1, 3, 4, 6), "float32")
        self.output = Port("labels", (1, 4, 6), "uint8") if labels else Port("logits", (1, 5, 4, 6), "float32")
        self.given: list[np.ndarray] = []

    def run(self, image_NCHW: np.ndarray) -> np.ndarray:
        self.given.append(image_NCHW)
        rng = np.random.default_rng(1)
        if self.output.dtype == "uint8":
            return rng.integers(0, 5, self.output.shape, dtype=np.uint8)
        return rng.normal(size=self.output.shape).astype(np.float32)


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("scope", SCOPES)
def test_every_scope_feeds_the_engine_what_it_takes(scope: str, labels: bool) -> None:
    session = Recorder(labels)
    run = call_of(session, scope, np.random.default_rng(0))
    run(), run()
    first, second = session.given
    assert first.shape == (1, 3, 4, 6) and first.dtype == np.float32
    np.testing.assert_array_equal(first, second)


def test_end_to_end_goes_from_pixels_to_labels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 4, 6, 3), dtype=np.uint8)
    for labels in (False, True):
        session = Recorder(labels)
        answer = labels_of(session, pixels)
        assert answer.shape == (1, 4, 6) and answer.dtype == np.uint8
        np.testing.assert_array_equal(session.given[0], normalize_array(pixels))
        expected = session.run(session.given[0])
        np.testing.assert_array_equal(answer, expected if labels else expected.argmax(1))


def test_the_contract_names_what_is_inside() -> None:
    logits, labels = Recorder(False), Recorder(True)
    assert inside_of(logits, "engine") == ("upsampling",)
    assert inside_of(labels, "engine") == ("upsampling", "argmax")
    assert inside_of(logits, "copies") == ("copies", "upsampling")
    assert inside_of(logits, "end-to-end") == ("preprocessing", "upsampling", "argmax")


def test_scopes_of_an_artifact_differ_in_their_contracts(exported) -> None:
    contracts = [benchmark(exported["logits"], seconds=0.1, scope=scope).contract for scope in SCOPES]
    assert [contract.scope for contract in contracts] == list(SCOPES)
    assert all(contracts[0].differences(other) == ["scope", "inside"] for other in contracts[1:])


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.done: list[float] = []

    @contextmanager
    def task(self, label: str, total: float):
        self.labels.append(label)
        yield self

    def update(self, done: float, note: str = "") -> None:
        self.done.append(done)


def test_streams_answer_together(exported) -> None:
    heard = Heard()
    alone, two = (throughput(exported["logits"], streams, seconds=0.3, progress=heard) for streams in (1, 2))
    assert heard.labels == ["1 streams", "2 streams"] and 0 < max(heard.done) <= 0.3
    assert (alone.streams, two.streams) == (1, 2)
    for result in (alone, two):
        assert result.fps > 0 and result.p50_ms > 0 and 0.2 < result.seconds < 10
    assert alone.fps == pytest.approx(1e3 / alone.p50_ms, rel=0.7)


def test_an_error_in_a_stream_is_raised(exported) -> None:
    with pytest.raises(HwnasError, match="scope"):
        throughput(exported["logits"], 2, seconds=0.1, scope="nonsense")
