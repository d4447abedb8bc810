from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from hwnas.data.base import open_dataset
from hwnas.data.likeness import frame_of
from hwnas.data.lint import LintIssue, check_dataset
from tests.data.miniatures import LAYOUTS, SIZE_HW, folder, labels, picture, save


def _issues(spec: str) -> dict[str, LintIssue]:
    return {issue.kind: issue for issue in check_dataset(open_dataset(spec)).issues}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder(tmp_path)
    return tmp_path


def test_clean_folder_has_no_issues(root: Path) -> None:
    report = check_dataset(open_dataset(f"folder:{root}"))
    assert report.issues == () and report.ok
    assert report.images == {"train": 3, "val": 2} and report.sizes == {SIZE_HW: 5}
    total = SIZE_HW[0] * SIZE_HW[1]
    assert sum(report.pixels["train"]) + report.ignored["train"] == 3 * total
    assert all(count > 0 for count in report.pixels["val"])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_miniatures_have_no_errors(layout: str, tmp_path: Path) -> None:
    report = check_dataset(open_dataset(LAYOUTS[layout](tmp_path)))
    assert report.ok, report.issues
    json.dumps(report.to_dict(), allow_nan=False)


def test_labels_outside_the_map(root: Path) -> None:
    for number in (1, 3):
        mask = labels(number, [0, 1, 2])
        mask[:2] = 9
        save(root / "masks" / "train" / f"{number}.png", mask)
    issue = _issues(f"folder:{root}")["label-outside-map"]
    assert (issue.severity, issue.count, issue.first) == ("error", 2, str(root / "masks" / "train" / "1.png"))
    assert "label 9 in 56 pixels" in issue.message


def test_missing_pairs(root: Path) -> None:
    (root / "masks" / "train" / "2.png").unlink()
    (root / "images" / "val" / "5.png").unlink()
    found = _issues(f"folder:{root}")
    assert found["image-without-mask"].severity == "error" and found["image-without-mask"].first.endswith("train/2.png")
    assert found["mask-without-image"].severity == "warning" and found["mask-without-image"].first.endswith("val/5.png")


def test_corrupt_files(root: Path) -> None:
    for name in ("images/train/1.png", "masks/val/4.png"):
        path = root / name
        path.write_bytes(path.read_bytes()[:50])
    found = _issues(f"folder:{root}")
    assert found["corrupt-image"].first.endswith("images/train/1.png")
    assert "masks/val/4.png cannot be decoded" in found["corrupt-mask"].message


def test_size_mismatch_and_mixed_sizes(root: Path) -> None:
    save(root / "images" / "train" / "3.png", picture(3)[:, :20])
    found = _issues(f"folder:{root}")
    assert "20x20 but its mask is 20x28" in found["size-mismatch"].message
    assert found["mixed-sizes"].severity == "warning" and found["mixed-sizes"].first.endswith("3.png")


def test_empty_mask(root: Path) -> None:
    save(root / "masks" / "train" / "2.png", np.full(SIZE_HW, 255, np.uint8))
    issue = _issues(f"folder:{root}")["empty-mask"]
    assert (issue.severity, issue.count) == ("warning", 1) and issue.first.endswith("2.png")


def test_absent_class(root: Path) -> None:
    for number in (4, 5):
        save(root / "masks" / "val" / f"{number}.png", labels(number, [0, 2]))
    issue = _issues(f"folder:{root}")["class-absent"]
    assert issue.first == "dog" and "dog is nowhere in val" in issue.message


def test_same_picture_in_two_splits_is_an_error(root: Path) -> None:
    save(root / "images" / "val" / "5.png", picture(2))
    save(root / "images" / "train" / "3.png", picture(1))
    found = _issues(f"folder:{root}")
    assert (
        found["duplicate-across-splits"].severity == "error"
        and "5.png (val)" in found["duplicate-across-splits"].message
    )
    assert found["duplicate"].severity == "warning" and found["duplicate"].count == 1


def test_neighbouring_frame_in_another_split_is_found(root: Path) -> None:
    near = np.clip(picture(2).astype(int) + np.random.default_rng(0).integers(-8, 25, (*SIZE_HW, 3)), 0, 255)
    save(root / "images" / "val" / "5.png", near.astype(np.uint8))
    found = _issues(f"folder:{root}")
    assert set(found) == {"neighbours-across-splits"}
    issue = found["neighbours-across-splits"]
    assert issue.severity == "warning" and issue.first.endswith("val/5.png") and "train/2.png (train)" in issue.message


def test_flat_pictures_are_not_called_neighbours(root: Path) -> None:
    for split, number, value in (("train", 1, 3), ("val", 4, 4)):
        save(root / "images" / split / f"{number}.png", np.full((*SIZE_HW, 3), value, np.uint8))
    assert _issues(f"folder:{root}") == {}


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("train/0016E5_07920.png", ("0016E5_", 7920)),
        ("a/frame12_L.png", ("frame", 12)),
        ("x.png", ("", 0)),
        ("7.png", ("", 0)),
    ],
)
def test_frame_numbers_are_read_from_names(name: str, frame: tuple[str, int]) -> None:
    assert frame_of(name) == frame


@pytest.mark.skipif("HWNAS_CAMVID" not in os.environ, reason="HWNAS_CAMVID (the CamVid folder) is not set")
def test_camvid_has_no_errors_but_one_drive_in_both_splits() -> None:
    started = time.perf_counter()
    report = check_dataset(open_dataset(f"camvid:{os.environ['HWNAS_CAMVID']}"))
    assert time.perf_counter() - started < 30
    assert report.ok and report.images["train"] == 367 and report.images["val"] == 101
    shares = np.array(report.pixels["train"]) / (sum(report.pixels["train"]) + report.ignored["train"])
    published = [0.169, 0.233, 0.010, 0.317, 0.045, 0.097, 0.012, 0.011, 0.059, 0.006, 0.003]
    np.testing.assert_allclose(shares, published, atol=0.0006)
    assert {issue.kind for issue in report.issues} == {"neighbours-across-splits"}
