"""Artifacts are moved to their places when they are whole; until then the old ones are."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from hwnas.errors import ArtifactError, HwnasError
from hwnas.exporters.artifact import MANIFEST, facts_of, open_artifact, read_manifest, write_manifest
from hwnas.exporters.runner import write_runner
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


def old_artifact(exported, folder: Path) -> Path:
    """An artifact with an engine's folder and the C++ program, and a file of the user's in each of its folders."""
    shutil.copytree(exported["logits"].path.parent, folder)
    write_runner("cpp", folder)
    engine = folder / "model_openvino_model" / "model.bin"
    engine.parent.mkdir()
    engine.write_bytes(b"weights")
    manifest = read_manifest(folder / MANIFEST)
    name = engine.relative_to(folder).as_posix()
    write_manifest(folder, dataclasses.replace(manifest, files={**manifest.files, name: facts_of(engine)}))
    for path in (folder / "notes.txt", folder / "cpp" / "notes.txt"):
        path.write_text("the user's")
    (folder / "cpp" / "main.cpp").write_text("changed by the user")
    return folder


def test_what_hwnas_wrote_goes_with_the_artifact_and_nothing_else(exported, tmp_path: Path) -> None:
    """The new one is of a kind, the old ones of two, and one is the user's."""
    engine = tmp_path / "engine"
    for kind in ("logits", "labels"):
        old_artifact(exported, engine / kind)
    write(engine / "others", model="no artifact")
    with staged(engine, instead_of=("logits", "labels", "others")) as scratch:
        shutil.copytree(exported["labels"].path.parent, scratch / "labels")
    kept = {"notes.txt", "cpp/notes.txt", "cpp/main.cpp"}
    assert set(texts(engine / "logits")) == kept
    new = {path.name for path in exported["labels"].path.parent.iterdir() if path.is_file()}
    assert {str(path.relative_to(engine / "labels")) for path in (engine / "labels").rglob("*") if path.is_file()} == (
        kept | new
    )
    assert not (engine / "labels" / "model_openvino_model").exists()
    assert texts(engine / "others") == {MANIFEST: "{}", "model": "no artifact"}
    assert open_artifact(engine / "labels").manifest == read_manifest(exported["labels"].path.parent / MANIFEST)


def test_no_file_outside_of_an_artifact_is_removed(exported, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("the user's")
    old = tmp_path / "engine" / "logits"
    shutil.copytree(exported["logits"].path.parent, old)
    manifest = read_manifest(old / MANIFEST)
    outside = {"../../mine.txt": facts_of(tmp_path / "mine.txt")}
    write_manifest(old, dataclasses.replace(manifest, files={**manifest.files, **outside}))
    with staged(tmp_path / "engine", instead_of=("logits",)):
        pass
    assert (tmp_path / "mine.txt").is_file() and not old.exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HwnasError, match="cannot write"), staged(tmp_path / "file" / "engine"):
        pass
