"""Every layout in miniature: a few small pictures in the folders that the real data set has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

SIZE_HW = (20, 28)


def picture(seed: int) -> np.ndarray:
    """Blocks of random colours, so that no two look alike."""
    blocks = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return blocks.repeat(4, 0).repeat(4, 1)


def labels(seed: int, values: list[int]) -> np.ndarray:
    """Blocks of labels; each of ``values`` occurs if there are at most 35."""
    rng = np.random.default_rng(seed)
    blocks = rng.permutation(np.resize(values, 35)).astype(np.uint8).reshape(5, 7)
    return blocks.repeat(4, 0).repeat(4, 1)


def save(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    """Write an image file; mode "P" keeps the numbers as palette indices."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if mode == "P":
        image = Image.fromarray(array, "L")
        image = image.convert("P")
        image.putdata(array.ravel().tolist())
        image.putpalette([value for index in range(256) for value in (index, 255 - index, index // 2)])
    image.save(path)
    return path


def segnet_camvid(root: Path) -> str:
    seed = 0
    for split, count in (("train", 4), ("val", 2)):
        for index in range(count):
            save(root / split / f"0001TP_{seed:05d}.png", picture(seed))
            save(root / f"{split}annot" / f"0001TP_{seed:05d}.png", labels(seed, list(range(12))))
            seed += 300 + index
    return f"camvid:{root}"


def paddle_camvid(root: Path) -> str:
    for split, numbers in (("train", (1, 2, 3)), ("val", (4,)), ("test", (5,))):
        lines = []
        for number in numbers:
            save(root / "images" / f"{number}.png", picture(number))
            save(root / "annot" / f"{number}.png", labels(number, [*range(11), 255]))
            lines.append(f"images/{number}.png annot/{number}.png")
        (root / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return f"camvid:{root}"


def pidnet_camvid(root: Path) -> str:
    colors = np.array([(128, 128, 128), (128, 64, 128), (64, 0, 128), (1, 2, 3)], np.uint8)
    for split, numbers in (("train", (1, 2)), ("val", (3,))):
        lines = []
        for number in numbers:
            save(root / "images" / f"{number}.png", picture(number))
            save(root / "labels" / f"{number}_L.png", colors[labels(number, [0, 1, 2, 3])])
            lines.append(f"images/{number}.png labels/{number}_L.png")
        (root / "list").mkdir(exist_ok=True)
        (root / "list" / f"{split}.lst").write_text("\n".join(lines) + "\n")
    return f"camvid:{root}"


def _cityscapes(root: Path, kind: str, values: list[int]) -> str:
    for number, (split, city) in enumerate((("train", "aachen"), ("train", "bochum"), ("val", "lindau"))):
        name = f"{city}_00000{number}_000019"
        save(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", picture(number))
        save(root / "gtFine" / split / city / f"{name}_gtFine_{kind}.png", labels(number, values))
        save(root / "gtFine" / split / city / f"{name}_gtFine_instanceIds.png", labels(number, [1]))
    return f"cityscapes:{root}"


def cityscapes_train_ids(root: Path) -> str:
    return _cityscapes(root, "labelTrainIds", [*range(19), 255])


def cityscapes_label_ids(root: Path) -> str:
    return _cityscapes(root, "labelIds", [0, 4, 7, 8, 11, 26, 33])


def voc(root: Path) -> str:
    base = root / "VOCdevkit" / "VOC2012"
    (base / "ImageSets" / "Segmentation").mkdir(parents=True)
    for split, names in (("train", ("2007_000032", "2007_000039")), ("val", ("2007_000033",))):
        for number, name in enumerate(names):
            (base / "JPEGImages").mkdir(exist_ok=True)
            Image.fromarray(picture(number + len(split))).save(base / "JPEGImages" / f"{name}.jpg")
            save(base / "SegmentationClass" / f"{name}.png", labels(number, [*range(21), 255]), "P")
        (base / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(names) + "\n")
    return f"voc:{root}"


def ade20k(root: Path) -> str:
    base = root / "ADEChallengeData2016"
    for split, numbers in (("training", (1, 2)), ("validation", (3,))):
        for number in numbers:
            (base / "images" / split).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(number)).save(base / "images" / split / f"ADE_{number:08d}.jpg")
            save(base / "annotations" / split / f"ADE_{number:08d}.png", labels(number, [0, 1, 2, 150]))
    return f"ade20k:{root}"


def folder(root: Path, images: str = "images", masks: str = "masks", classes: str = "cat\ndog\ngrass\n") -> str:
    for split, numbers in (("train", (1, 2, 3)), ("val", (4, 5))):
        for number in numbers:
            save(root / images / split / f"{number}.png", picture(number))
            save(root / masks / split / f"{number}.png", labels(number, [0, 1, 2, 255]))
    (root / "classes.txt").write_text(classes)
    return f"folder:{root}"


def mmseg(root: Path) -> str:
    return folder(root, "img_dir", "ann_dir")


def streets(root: Path) -> str:
    return "streets:size=40x56,train=2,val=2,seed=3"


LAYOUTS: dict[str, Callable[[Path], str]] = {
    make.__name__: make
    for make in (
        segnet_camvid,
        paddle_camvid,
        pidnet_camvid,
        cityscapes_train_ids,
        cityscapes_label_ids,
        voc,
        ade20k,
        folder,
        mmseg,
        streets,
    )
}
