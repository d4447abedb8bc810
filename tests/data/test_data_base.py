from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hwnas.data.base import DATASETS, open_dataset, read, record_reads
from hwnas.errors import DataError, HwnasError
from tests.data.miniatures import folder, labels, picture, save


def test_unknown_kind_offers_the_nearest() -> None:
    with pytest.raises(HwnasError, match="unknown data set 'camvit'") as error:
        open_dataset("camvit:/data")
    assert "camvid" in error.value.hint


def test_all_kinds_are_registered() -> None:
    assert DATASETS.names() == ["ade20k", "camvid", "cityscapes", "folder", "streets", "voc"]


@pytest.mark.parametrize("kind", ["camvid", "cityscapes", "voc", "ade20k", "folder"])
def test_missing_folder_is_named(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        open_dataset(f"{kind}:{tmp_path / 'nowhere'}")
    with pytest.raises(DataError, match="needs a folder"):
        open_dataset(kind)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is a file"):
        open_dataset(f"{kind}:{tmp_path / 'file'}")


def test_path_without_a_kind_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not say what kind") as error:
        open_dataset(str(tmp_path))
    assert f"folder:{tmp_path}" in error.value.hint


def test_label_outside_the_map_names_file_label_and_count(tmp_path: Path) -> None:
    spec = folder(tmp_path)
    mask = labels(1, [0, 1, 2])
    mask[0, :5] = 7
    save(tmp_path / "masks" / "train" / "1.png", mask)
    dataset = open_dataset(spec)
    with pytest.raises(DataError, match=r"1\.png has label 7 in 5 pixels, .*3 classes"):
        read(dataset, dataset.items("train")[0])


def test_sizes_that_differ_are_named(tmp_path: Path) -> None:
    spec = folder(tmp_path)
    save(tmp_path / "images" / "train" / "1.png", picture(1)[:16])
    dataset = open_dataset(spec)
    with pytest.raises(DataError, match=r"1\.png is 16x28 but its mask is 20x28"):
        read(dataset, dataset.items("train")[0])


def test_missing_mask_is_named(tmp_path: Path) -> None:
    spec = folder(tmp_path)
    (tmp_path / "masks" / "train" / "2.png").unlink()
    dataset = open_dataset(spec)
    assert [item.mask is None for item in dataset.items("train")] == [False, True, False]
    with pytest.raises(DataError, match=r"2\.png has no mask"):
        read(dataset, dataset.items("train")[1])


@pytest.mark.parametrize("which", ["images", "masks"])
@pytest.mark.parametrize("keep", [0, 0.5, 0.85])
def test_truncated_file_is_named(tmp_path: Path, which: str, keep: float) -> None:
    spec = folder(tmp_path)
    path = tmp_path / which / "train" / "1.png"
    noise = np.random.default_rng(0).integers(0, 3, (20, 28), dtype=np.uint8)
    save(path, np.stack([noise] * 3, -1) if which == "images" else noise)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    dataset = open_dataset(spec)
    with pytest.raises(DataError, match=r"1\.png cannot be decoded"):
        read(dataset, dataset.items("train")[0])


def test_hidden_files_are_not_images(tmp_path: Path) -> None:
    spec = folder(tmp_path)
    (tmp_path / "images" / "train" / "._1.png").write_bytes(b"of another system")
    assert len(open_dataset(spec).items("train")) == 3


def test_masks_without_image_are_orphans(tmp_path: Path) -> None:
    spec = folder(tmp_path)
    extra = save(tmp_path / "masks" / "val" / "extra.png", labels(1, [0]))
    assert open_dataset(spec).orphans("val") == (extra,)


def test_recorders_nest(tmp_path: Path) -> None:
    dataset = open_dataset(folder(tmp_path))
    with record_reads() as outer:
        with record_reads() as inner:
            pass
        read(dataset, dataset.items("val")[0])
    read(dataset, dataset.items("val")[0])
    assert inner == [] and len(outer) == 2


def test_opening_imports_no_torch() -> None:
    code = (
        "import sys; from hwnas.data.base import open_dataset; open_dataset('streets');"
        "assert 'torch' not in sys.modules"
    )
    root = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env={**os.environ, "PYTHONPATH": root})
