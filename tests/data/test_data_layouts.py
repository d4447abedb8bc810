from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hwnas.data.base import IGNORE, Dataset, open_dataset, read
from hwnas.errors import DataError
from tests.contracts.dataset_contract import CHECKS
from tests.data import miniatures
from tests.data.miniatures import LAYOUTS, labels, picture, save


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_layout_keeps_the_contract(layout: str, check: Callable[[Dataset, Path], None], tmp_path: Path) -> None:
    check(open_dataset(LAYOUTS[layout](tmp_path / "data set")), tmp_path / "cache")


def _mask_of_first(spec: str) -> np.ndarray:
    dataset = open_dataset(spec)
    return read(dataset, dataset.items("train")[0])[1]


def test_camvid_void_is_ignored(tmp_path: Path) -> None:
    mask = _mask_of_first(miniatures.segnet_camvid(tmp_path))
    assert set(np.unique(mask)) == {*range(11), IGNORE}
    raw = labels(0, list(range(12)))
    assert ((mask == IGNORE) == (raw == 11)).all() and (mask[raw < 11] == raw[raw < 11]).all()


def test_camvid_colors_are_classes_and_others_ignored(tmp_path: Path) -> None:
    mask = _mask_of_first(miniatures.pidnet_camvid(tmp_path))
    assert (mask == np.array([0, 3, 8, IGNORE])[labels(1, [0, 1, 2, 3])]).all()


def test_camvid_lists_keep_their_order_and_foreign_prefixes(tmp_path: Path) -> None:
    spec = miniatures.paddle_camvid(tmp_path)
    listing = tmp_path / "train.txt"
    listing.write_text("/SegNet/CamVid/images/3.png /SegNet/CamVid/annot/3.png\n\nimages/1.png annot/1.png\n")
    items = open_dataset(spec).items("train")
    assert [item.image and item.image.name for item in items] == ["3.png", "1.png"]
    assert items[0].mask == tmp_path / "annot" / "3.png"


def test_camvid_list_that_names_a_missing_image(tmp_path: Path) -> None:
    spec = miniatures.paddle_camvid(tmp_path)
    (tmp_path / "images" / "2.png").unlink()
    with pytest.raises(DataError, match=r"train\.txt line 2 names images/2\.png"):
        open_dataset(spec)


def test_camvid_without_lists_or_layout(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="no list of its train pairs"):
        open_dataset(f"camvid:{tmp_path}")
    with pytest.raises(DataError, match="none of CamVid's layouts"):
        open_dataset(f"camvid:{tmp_path / 'images'}")


def test_cityscapes_label_ids_are_mapped(tmp_path: Path) -> None:
    mask = _mask_of_first(miniatures.cityscapes_label_ids(tmp_path))
    table = np.full(34, IGNORE)
    table[[7, 8, 11, 26, 33]] = [0, 1, 2, 13, 18]
    assert (mask == table[labels(0, [0, 4, 7, 8, 11, 26, 33])]).all()


def test_cityscapes_keys_name_the_city(tmp_path: Path) -> None:
    items = open_dataset(miniatures.cityscapes_train_ids(tmp_path)).items("train")
    assert [item.key for item in items] == ["aachen/aachen_000000_000019", "bochum/bochum_000001_000019"]


def test_voc_reads_palette_indices(tmp_path: Path) -> None:
    assert (_mask_of_first(miniatures.voc(tmp_path)) == labels(0, [*range(21), 255])).all()


def test_ade20k_reduces_the_zero_label(tmp_path: Path) -> None:
    mask = _mask_of_first(miniatures.ade20k(tmp_path))
    assert (mask == np.array([IGNORE, 0, 1, *[0] * 147, 149])[labels(1, [0, 1, 2, 150])]).all()


def test_folder_reads_colored_masks_if_classes_have_colors(tmp_path: Path) -> None:
    spec = miniatures.folder(tmp_path, classes="cat 10 20 30\nbig dog, 40, 50, 60\n")
    colors = np.array([(10, 20, 30), (40, 50, 60), (0, 0, 0)], np.uint8)
    for number, split in ((1, "train"), (4, "val")):
        save(tmp_path / "masks" / split / f"{number}.png", colors[labels(number, [0, 1, 2])])
    dataset = open_dataset(spec)
    assert [each.name for each in dataset.classes] == ["cat", "big dog,"[:-1]]
    assert (_mask_of_first(spec) == np.array([0, 1, IGNORE])[labels(1, [0, 1, 2])]).all()


def test_folder_refuses_colored_masks_without_colors(tmp_path: Path) -> None:
    spec = miniatures.folder(tmp_path)
    save(tmp_path / "masks" / "train" / "1.png", picture(1))
    with pytest.raises(DataError, match=r"1\.png is a coloured picture"):
        _mask_of_first(spec)


@pytest.mark.parametrize(
    ("classes", "message"),
    [("one\n", "names 1 classes"), ("a\na\n", "twice"), ("a 300 0 0\nb\n", "over 255"), ("", "names 0 classes")],
)
def test_folder_with_bad_classes(tmp_path: Path, classes: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_dataset(miniatures.folder(tmp_path, classes=classes))


def test_folder_without_classes_or_images(tmp_path: Path) -> None:
    spec = miniatures.folder(tmp_path)
    (tmp_path / "classes.txt").unlink()
    with pytest.raises(DataError, match=r"cannot read .*classes\.txt"):
        open_dataset(spec)
    for path in (tmp_path / "images" / "val").iterdir():
        path.unlink()
    (tmp_path / "classes.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match="no images in split 'val'"):
        open_dataset(spec)
    with pytest.raises(DataError, match=r"no images/ and masks/"):
        open_dataset(f"folder:{tmp_path / 'images'}")


def test_sixteen_bit_masks_are_read_and_their_strange_labels_found(tmp_path: Path) -> None:
    spec = miniatures.folder(tmp_path)
    raw = labels(1, [0, 1, 2, 255]).astype(np.uint16)
    save(tmp_path / "masks" / "train" / "1.png", raw)
    assert (_mask_of_first(spec) == raw).all()
    raw[0, :3] = 1000
    save(tmp_path / "masks" / "train" / "1.png", raw)
    dataset = open_dataset(spec)
    mask = dataset.read_mask(dataset.items("train")[0])
    assert mask.unknown == {1000: 3} and (mask.labels[0, :3] == IGNORE).all()
