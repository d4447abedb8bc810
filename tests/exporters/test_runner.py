"""The program beside an artifact, run as a user would, without hwnas."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hwnas.errors import HwnasError
from hwnas.exporters.artifact import MANIFEST, read_manifest
from hwnas.exporters.build import export_artifact
from hwnas.exporters.engine import ENGINES
from hwnas.exporters.onnx_export import network_as_onnx
from hwnas.exporters.runner import check_runner, contract_header, write_runner
from hwnas.exporters.scopes import labels_of
from tests.exporters.nets import CLASSES, SIZE_HW

COLOURS = np.array([item.color for item in CLASSES], np.uint8)
FORMS = {
    "onnxruntime": {"argmax": True},
    "openvino": {"preprocess": True},
    "onnx": {"preprocess": True, "argmax": True, "batch": 2},
}


def program(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    (script,) = write_runner("python", folder)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # -I: neither the working directory nor the user's packages
    code = (
        f"import sys, runpy; sys.modules['hwnas'] = None; sys.argv[0] = {str(script)!r};"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-I", "-c", code, *map(str, words)], capture_output=True, text=True, env=environment
    )


@pytest.mark.parametrize("engine", [name for name in FORMS if ENGINES.get(name).available()])
def test_it_gives_the_engines_labels(engine, network, genotype, images, tmp_path) -> None:
    artifact = export_artifact(
        network,
        genotype,
        tmp_path / "a",
        engine=engine,
        model=network_as_onnx(network),
        classes=CLASSES,
        **FORMS[engine],
    )
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(2):
        Image.fromarray(images[i]).save(photos / f"{i}.png")
    (photos / "notes.txt").write_text("no image")
    single = tmp_path / "single.png"
    Image.fromarray(images[2]).save(single)
    ended = program(tmp_path / "a", photos, single, "-o", tmp_path / "masks")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("3 masks in ")
    with artifact.open() as session:
        for name, image in zip(("0", "1", "single"), images, strict=False):
            batch = np.repeat(image[None], session.input.batch, axis=0)
            drawn = np.asarray(Image.open(tmp_path / "masks" / f"{name}.png"))
            np.testing.assert_array_equal(drawn, COLOURS[labels_of(session, batch)[0]])


def test_masks_have_the_size_of_the_image_and_can_be_blended(exported, tmp_path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    for path in exported["labels"].path.parent.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    photo = Image.new("RGB", (2 * SIZE_HW[1], 3 * SIZE_HW[0]), (200, 100, 0))
    photo.save(tmp_path / "photo.jpg")
    assert program(folder, tmp_path / "photo.jpg", "-o", tmp_path / "out", "--overlay", "0").returncode == 0
    drawn = Image.open(tmp_path / "out" / "photo.png")
    assert drawn.size == photo.size and np.abs(np.asarray(drawn, int) - (200, 100, 0)).max() < 4


@pytest.mark.parametrize("fault", ["empty", "folder", "nothing"])
def test_bad_input_ends_with_one_line(fault, exported, tmp_path) -> None:
    empty = tmp_path / "empty.png"
    empty.touch()
    (tmp_path / "folder").mkdir()
    words = {"empty": [empty], "folder": [tmp_path / "folder"], "nothing": []}[fault]
    ended = program(exported["labels"].path.parent, *words, "-o", tmp_path / "out")
    assert ended.returncode != 0 and "Traceback" not in ended.stderr
    assert {"empty": "empty.png", "folder": "no image", "nothing": "--camera"}[fault] in ended.stderr


def same_masks(folder: Path) -> dict[str, list[Path]]:
    """Images whose masks would take the place of an image, and of another's mask."""
    for name in ("photos/x.ppm", "photos/x.png", "other/x.ppm"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (9, 7), (200, 100, 0)).save(folder / name)
    photos = folder / "photos"
    return {
        "would take the place of the image": [photos, "-o", photos],
        "would both be drawn into": [photos / "x.ppm", folder / "other" / "x.ppm", "-o", folder / "masks"],
    }


@pytest.mark.parametrize("said", ["would take the place of the image", "would both be drawn into"])
def test_no_mask_takes_the_place_of_an_image_or_of_another(said, exported, tmp_path) -> None:
    words = same_masks(tmp_path)[said]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    ended = program(exported["labels"].path.parent, *words)
    assert ended.returncode != 0 and said in ended.stderr and "Traceback" not in ended.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_logits_of_an_untrained_network_keep_their_classes(exported) -> None:
    """Its manifest names none."""
    manifest = replace(read_manifest(exported["logits"].path.parent / MANIFEST), classes=())
    assert "constexpr int CLASSES = 5;" in contract_header(manifest)


@pytest.fixture(scope="module")
def onnxruntime_cpp() -> Path:
    """The folder of ONNX Runtime's C++ headers and library."""
    if not (shutil.which("cmake") and shutil.which("g++")):
        pytest.skip("cmake and g++ are needed to build the C++ runner")
    folder = Path(os.environ.get("HWNAS_ONNXRUNTIME_CPP", "/usr"))
    if not list(folder.glob("include/**/onnxruntime_cxx_api.h")):
        pytest.skip("HWNAS_ONNXRUNTIME_CPP does not say where ONNX Runtime's C++ headers and library are")
    return folder


def built(folder: Path, onnxruntime: Path) -> Path:
    """The C++ program of an artifact."""
    source = write_runner("cpp", folder)[0].parent
    for command in (
        ["-S", source, "-B", source / "build", f"-DONNXRUNTIME={onnxruntime}"],
        ["--build", source / "build"],
    ):
        ended = subprocess.run(["cmake", *map(str, command)], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    return source / "build" / "segment"


@pytest.mark.parametrize("form", [{}, {"preprocess": True, "argmax": True, "batch": 2}], ids=["logits", "labels"])
def test_the_cpp_program_draws_the_same(form, network, genotype, images, onnxruntime_cpp, tmp_path) -> None:
    artifact = export_artifact(
        network, genotype, tmp_path / "a", engine="onnx", model=network_as_onnx(network), classes=CLASSES, **form
    )
    segment = built(artifact.path.parent, onnxruntime_cpp)
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(images[0]).save(photos / "0.ppm")
    Image.fromarray(images[1]).resize((2 * SIZE_HW[1] + 1, SIZE_HW[0] - 3)).save(photos / "1.ppm")
    ended = subprocess.run([segment, photos, "-o", tmp_path / "cpp"], capture_output=True, text=True)
    assert ended.returncode == 0 and ended.stdout.startswith("2 masks in "), ended.stderr
    assert program(artifact.path.parent, photos, "-o", tmp_path / "python").returncode == 0
    for name, equal in (("0", 1.0), ("1", 0.99)):  # resizing rounds otherwise here and there
        ours = np.asarray(Image.open(next((tmp_path / "cpp").glob(f"{name}.p*"))))
        theirs = np.asarray(Image.open(tmp_path / "python" / f"{name}.png"))
        assert ours.shape == theirs.shape
        assert (ours == theirs).all(-1).mean() >= equal
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in (1, 2):
        shutil.copy(photos / "0.ppm", frames / f"frame.000{number}.ppm")
    ended = subprocess.run([segment, frames, "-o", tmp_path / "dotted"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert sorted(path.stem for path in (tmp_path / "dotted").iterdir()) == ["frame.0001", "frame.0002"]
    for said, words in same_masks(tmp_path).items():
        ended = subprocess.run([segment, *words], capture_output=True, text=True)
        assert ended.returncode == 2 and said in ended.stderr
    camera = (photos / "0.ppm").read_bytes() + (photos / "1.ppm").read_bytes()
    ended = subprocess.run([segment, "-", "-o", tmp_path / "camera"], input=camera, capture_output=True)
    assert ended.returncode == 0, ended.stderr
    for frame, name in enumerate(("0", "1")):
        (drawn,) = (tmp_path / "camera").glob(f"frame{frame:05d}.p*")
        assert drawn.read_bytes() == next((tmp_path / "cpp").glob(f"{name}.p*")).read_bytes()
    ended = subprocess.run([segment, "-", "-o", tmp_path / "camera"], input=camera[:-1], capture_output=True)
    assert ended.returncode == 2 and ended.stderr == b"error: standard input ends early\n"
    (photos / "torn.ppm").write_bytes((photos / "0.ppm").read_bytes()[:100])
    ended = subprocess.run([segment, photos / "torn.ppm", "-o", tmp_path / "cpp"], capture_output=True, text=True)
    assert ended.returncode == 2 and ended.stderr.endswith("torn.ppm ends early\n")


def test_another_engines_artifact_and_unknown_kinds(exported, tmp_path) -> None:
    with pytest.raises(HwnasError, match="does not run tensorrt"):
        check_runner("python", "tensorrt")
    with pytest.raises(HwnasError, match="no runner 'rust'"):
        check_runner("rust", "onnxruntime")
    manifest = json.loads((exported["labels"].path.parent / "hwnas.json").read_text())
    (tmp_path / "hwnas.json").write_text(json.dumps({**manifest, "engine": "tensorrt"}))
    assert "not tensorrt" in program(tmp_path, exported["labels"].path).stderr
