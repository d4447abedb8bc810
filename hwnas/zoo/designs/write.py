"""All hand-designed networks, and their files: ``python -m hwnas.zoo.designs.write`` writes them (a test compares)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from hwnas.zoo.catalog import ZooEntry, save_entry
from hwnas.zoo.designs.bisenet import bisenet_r18, bisenetv2
from hwnas.zoo.designs.dfnet import dfnets
from hwnas.zoo.designs.enet import enet
from hwnas.zoo.designs.espnet import espnetv2
from hwnas.zoo.designs.fast_scnn import fast_scnn
from hwnas.zoo.designs.mobilenet import lraspp_mobilenet_v3
from hwnas.zoo.designs.regseg import regseg
from hwnas.zoo.designs.stdc import pp_liteseg_t, stdc1, stdc1_seg
from hwnas.zoo.designs.two_branch import ddrnet_23_slim, pidnet_s
from hwnas.zoo.designs.xception import xception


def designs() -> list[ZooEntry]:
    """Every hand-designed network, built anew."""
    build = (
        bisenet_r18,
        bisenetv2,
        ddrnet_23_slim,
        enet,
        fast_scnn,
        lraspp_mobilenet_v3,
        pidnet_s,
        pp_liteseg_t,
        regseg,
        stdc1,
        stdc1_seg,
    )
    scaled = [espnetv2(scale) for scale in (0.5, 1.0, 1.5, 2.0)]
    return [make() for make in build] + scaled + dfnets() + [xception(65), xception(65, output_stride=8), xception(71)]


def write_designs(folder: Path) -> None:
    """Write each network as ``NAME.json`` into ``folder``."""
    for network in designs():
        save_entry(network, folder / f"{network.genotype.name}.json")


if __name__ == "__main__":
    write_designs(Path(str(files("hwnas.zoo"))) / "genotypes")
