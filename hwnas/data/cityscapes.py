"""Cityscapes: ``leftImg8bit/{train,val,test}/<city>/`` and ``gtFine/...``, 19 classes, the rest ignored.

Masks are ``*_gtFine_labelTrainIds.png`` if there are any, else ``*_gtFine_labelIds.png`` (what is
downloaded), mapped here.
M. Cordts et al.: The Cityscapes dataset for semantic urban scene understanding, 2016.
"""

from __future__ import annotations

from pathlib import Path

from hwnas.data.base import DATASETS, IGNORE, ClassInfo, Dataset, Item
from hwnas.data.filedata import MASK_SUFFIXES, FileDataset, LabelMap, list_files, numbered, pair_folders, root_folder
from hwnas.errors import DataError

CLASSES = (
    ClassInfo("road", (128, 64, 128)),
    ClassInfo("sidewalk", (244, 35, 232)),
    ClassInfo("building", (70, 70, 70)),
    ClassInfo("wall", (102, 102, 156)),
    ClassInfo("fence", (190, 153, 153)),
    ClassInfo("pole", (153, 153, 153)),
    ClassInfo("traffic light", (250, 170, 30)),
    ClassInfo("traffic sign", (220, 220, 0)),
    ClassInfo("vegetation", (107, 142, 35)),
    ClassInfo("terrain", (152, 251, 152)),
    ClassInfo("sky", (70, 130, 180)),
    ClassInfo("person", (220, 20, 60)),
    ClassInfo("rider", (255, 0, 0)),
    ClassInfo("car", (0, 0, 142)),
    ClassInfo("truck", (0, 0, 70)),
    ClassInfo("bus", (0, 60, 100)),
    ClassInfo("train", (0, 80, 100)),
    ClassInfo("motorcycle", (0, 0, 230)),
    ClassInfo("bicycle", (119, 11, 32)),
)
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""``labelIds`` of the 19 classes in order; the other ids up to 33 are ignored."""


def open_cityscapes(argument: str) -> Dataset:
    """Open the folder that holds ``leftImg8bit`` and ``gtFine``."""
    root = root_folder(argument, "cityscapes")
    if not (root / "leftImg8bit").is_dir() or not (root / "gtFine").is_dir():
        raise DataError(f"cityscapes: {root} lacks leftImg8bit or gtFine", "unpack both archives into one folder")
    kind = "labelTrainIds"
    class_of = numbered(len(CLASSES))
    if not any(path.stem.endswith("_labelTrainIds") for path in list_files(root / "gtFine", MASK_SUFFIXES)):
        kind = "labelIds"
        class_of = {**dict.fromkeys((*range(34), IGNORE), IGNORE), **{raw: i for i, raw in enumerate(LABEL_IDS)}}
    pairs: dict[str, tuple[Item, ...]] = {}
    lone: dict[str, tuple[Path, ...]] = {}
    for split in ("train", "val", "test"):
        images, masks = root / "leftImg8bit" / split, root / "gtFine" / split
        if images.is_dir():
            pairs[split], lone[split] = pair_folders(
                split, images, masks, image_end="_leftImg8bit", mask_end=f"_gtFine_{kind}"
            )
    return FileDataset("cityscapes", f"cityscapes:{argument}", CLASSES, LabelMap(class_of), pairs, lone)


DATASETS.register("cityscapes", open_cityscapes)
