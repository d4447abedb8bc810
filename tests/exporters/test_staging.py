"""Artifacts are moved to their places when they are whole; until then the old ones are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hwnas.errors import ArtifactError, HwnasError
from hwnas.exporters.artifact import MANIFEST, open_artifact
from hwnas.exporters.staging import staged


def texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def write(folder: Path, **files: str) -> None:
    for name, text in {MANIFEST: "{}", **files}.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_all_files_take_their_places(tmp_path: Path) -> None:
    engine = tmp_path / "runs" / "engine"
    write(engine / "logits", model="old", run="kept")
    with staged(engine) as scratch:
        write(scratch / "logits", model="new", folder__weights="bytes")
        write(scratch / "labels", model="labels")
        assert texts(engine)["logits/model"] == "old"
    assert texts(engine) == {
        f"logits/{MANIFEST}": "{}",
        "logits/model": "new",
        "logits/run": "kept",
        "logits/folder/weights": "bytes",
        f"labels/{MANIFEST}": "{}",
        "labels/model": "labels",
    }
    assert [path.name for path in engine.parent.iterdir()] == ["engine"]


def test_after_an_error_nothing_has_changed(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    write(engine / "logits", model="old")
    before = texts(tmp_path)
    with pytest.raises(ArtifactError) as failed, staged(engine) as scratch:
        write(scratch / "logits", model="new")
        raise ArtifactError(f"cannot open {scratch / 'logits' / 'model'}", "quantize less")
    assert (failed.value.message, failed.value.hint) == (f"cannot open {engine}/logits/model", "quantize less")
    assert texts(tmp_path) == before and [path.name for path in tmp_path.iterdir()] == ["engine"]


def test_a_real_artifact_opens_where_it_was_moved_to(exported, tmp_path: Path) -> None:
    with staged(tmp_path / "engine") as scratch:
        shutil.copytree(exported["logits"].path.parent, scratch / "logits")
    assert open_artifact(tmp_path / "engine" / "logits").manifest == exported["logits"].manifest


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HwnasError, match="cannot write"), staged(tmp_path / "file" / "engine"):
        pass
