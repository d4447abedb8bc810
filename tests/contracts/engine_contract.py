"""What every engine must do. Each check gets the engine, a file or folder that it opens, and an image's shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwnas.errors import ArtifactError
from hwnas.exporters.engine import ENGINES, Engine


def _image(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def check_is_registered_under_its_name(engine: Engine, path: Path) -> None:
    assert ENGINES.get(engine.name) is engine


def check_available_says_version_or_what_to_do(engine: Engine, path: Path) -> None:
    found = engine.available()
    assert bool(found) == (found.problem == "")
    assert found.version and "fp32" in found.precisions if found else found.hint


def check_runs_one_image_to_full_size_logits(engine: Engine, path: Path) -> None:
    with engine.open(path, threads=1) as session:
        batch, channels, height, width = session.input.shape
        assert (batch, channels, session.input.dtype) == (1, 3, "float32")
        output = session.run(_image(session.input.shape))
        assert output.shape == session.output.shape and output.dtype.name == session.output.dtype
        assert output.shape[0] == 1 and output.shape[-2:] == (height, width)
        assert np.isfinite(output).all()


def check_runs_are_repeatable(engine: Engine, path: Path) -> None:
    with engine.open(path, threads=1) as session:
        image = _image(session.input.shape)
        kept = image.copy()
        first = session.run(image).copy()  # an engine may write the next output over it
        session.run(_image(session.input.shape, seed=1))
        np.testing.assert_array_equal(session.run(image), first)
        np.testing.assert_array_equal(image, kept)


def check_refuses_another_shape_or_type(engine: Engine, path: Path) -> None:
    with engine.open(path, threads=1) as session:
        shape = session.input.shape
        for wrong in (_image((*shape[:3], shape[3] + 1)), _image(shape).astype(np.float64), _image(shape)[0]):
            with pytest.raises(ArtifactError, match="the engine takes float32"):
                session.run(wrong)


def check_a_missing_file_is_a_clear_error(engine: Engine, path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere"), engine.open(path.parent / "nowhere" / path.name, threads=1):
        pass


def check_two_threads_agree_with_one(engine: Engine, path: Path) -> None:
    outputs = []
    for threads in (1, 2):
        with engine.open(path, threads=threads) as session:
            outputs.append(session.run(_image(session.input.shape)))
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-3, atol=1e-3 * float(np.abs(outputs[0]).max()))


CHECKS = [value for name, value in sorted(globals().items()) if name.startswith("check_")]
