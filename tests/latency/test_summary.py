"""What a journal of blocks says of whole nets on a machine that others use, too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hwnas.latency.summary import summarise

HEADER = {"bundle": "0", "engine": "onnxruntime", "engine_version": "1", "precision": "fp32", "batch": 1, "threads": 1}


def block(name: str, samples_ms: np.ndarray, number: int) -> dict:
    low, lower = np.quantile(samples_ms, [0.1, 0.25])
    numbers = [samples_ms.min(), low, lower, np.median(samples_ms), samples_ms.mean()]
    times = [round(float(value), 5) for value in numbers]
    return {"name": name, "pass": number, "runs": 9, "disturbed": 0.0, "cpu_ms": times, "wall_ms": times}


def journal(path: Path, blocks: list[dict]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in [HEADER, *blocks]))
    return path


def samples(quiet_ms: float, disturbed: float, rng: np.random.Generator) -> np.ndarray:
    """Nine runs, each 2% long or short; that share of them slower by up to a third."""
    runs = quiet_ms * (1 + 0.02 * rng.standard_normal(9))
    return np.where(rng.random(9) < disturbed, runs * (1 + rng.random(9) / 3), runs)


def test_one_pass_of_a_net_says_what_its_median_is_undisturbed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    quiet_ms = {f"n{index}": float(10 + index) for index in range(60)}
    blocks = [
        block(name, samples(value, 0.7 * (index % 3) / 2, rng), 0)
        for index, (name, value) in enumerate(quiet_ms.items())
    ]
    found = summarise(journal(tmp_path / "j.jsonl", blocks), list(quiet_ms)).timings
    errors = np.array([found[name].ms / value - 1 for name, value in quiet_ms.items()])
    medians = np.array([line["cpu_ms"][3] / quiet_ms[line["name"]] - 1 for line in blocks])
    assert np.sqrt(np.mean(errors**2)) < 0.6 * np.sqrt(np.mean(medians**2))
    assert abs(np.mean(errors)) < 0.02 < np.mean(medians)


def test_a_net_that_is_never_steady_keeps_its_median(tmp_path: Path) -> None:
    """Two ways to run, one half as long again: where all blocks are so, it is the network, not the machine."""
    runs = np.array([1.0] * 3 + [1.5] * 6)
    blocks = [block(f"n{index}", (10.0 + index) * runs, 0) for index in range(10)]
    found = summarise(journal(tmp_path / "j.jsonl", blocks), [f"n{index}" for index in range(10)]).timings
    assert [found[f"n{index}"].ms for index in range(10)] == pytest.approx([1.5 * (10 + index) for index in range(10)])
