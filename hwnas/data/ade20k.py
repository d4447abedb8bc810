"""ADE20K as in the scene parsing challenge: ``images,annotations/{training,validation}``, 150 classes, zero ignored.

B. Zhou et al.: Scene parsing through ADE20K dataset, 2017. Raw label k is class k - 1 ("zero label reduced").
"""

from __future__ import annotations

from hwnas.data.base import DATASETS, IGNORE, Dataset
from hwnas.data.filedata import FileDataset, LabelMap, numbered, pair_folders, root_folder
from hwnas.data.palette import colored
from hwnas.errors import DataError

CLASSES = colored(
    (
        "wall,building,sky,floor,tree,ceiling,road,bed,windowpane,grass,cabinet,sidewalk,person,earth,door,"
        "table,mountain,plant,curtain,chair,car,water,painting,sofa,shelf,house,sea,mirror,rug,field,"
        "armchair,seat,fence,desk,rock,wardrobe,lamp,bathtub,railing,cushion,base,box,column,signboard,"
        "chest of drawers,counter,sand,sink,skyscraper,fireplace,refrigerator,grandstand,path,stairs,runway,"
        "case,pool table,pillow,screen door,stairway,river,bridge,bookcase,blind,coffee table,toilet,flower,"
        "book,hill,bench,countertop,stove,palm,kitchen island,computer,swivel chair,boat,bar,arcade machine,"
        "hovel,bus,towel,light,truck,tower,chandelier,awning,streetlight,booth,television receiver,airplane,"
        "dirt track,apparel,pole,land,bannister,escalator,ottoman,bottle,buffet,poster,stage,van,ship,"
        "fountain,conveyer belt,canopy,washer,plaything,swimming pool,stool,barrel,basket,waterfall,tent,bag,"
        "minibike,cradle,oven,ball,food,step,tank,trade name,microwave,pot,animal,bicycle,lake,dishwasher,"
        "screen,blanket,sculpture,hood,sconce,vase,traffic light,tray,ashcan,fan,pier,crt screen,plate,"
        "monitor,bulletin board,shower,radiator,glass,clock,flag"
    ),
    first=1,
)
FOLDERS = {"train": "training", "val": "validation", "test": "testing"}


def open_ade20k(argument: str) -> Dataset:
    """Open ``ADEChallengeData2016`` or the folder that holds it."""
    given = root_folder(argument, "ade20k")
    roots = (given, given / "ADEChallengeData2016")
    root = next((path for path in roots if (path / "annotations").is_dir()), None)
    if root is None:
        raise DataError(f"ade20k: {given} has no annotations folder", "give ADEChallengeData2016 as it unpacks")
    pairs = {}
    lone = {}
    for split, folder in FOLDERS.items():
        if (root / "images" / folder).is_dir():
            pairs[split], lone[split] = pair_folders(split, root / "images" / folder, root / "annotations" / folder)
    labels = LabelMap(numbered(len(CLASSES), first=1, ignored=(0, IGNORE)))
    return FileDataset("ade20k", f"ade20k:{argument}", CLASSES, labels, pairs, lone)


DATASETS.register("ade20k", open_ade20k)
