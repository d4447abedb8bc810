"""Which spaces know their sites."""

from __future__ import annotations

from hwnas.skeletons.cell_segmentation import DEFAULTS
from hwnas.spaces.auto_deeplab import AutoDeepLabSpace
from hwnas.spaces.fasterseg import FasterSegSpace
from hwnas.spaces.nasnet import NasnetSpace
from hwnas.spaces.relaxed import RelaxedSpace
from hwnas.spaces.sites.auto_deeplab import AutoDeepLabSites
from hwnas.spaces.sites.base import Sites
from hwnas.spaces.sites.fasterseg import FasterSegSites
from hwnas.spaces.sites.nasnet import NasnetSites


def sites_of(space: RelaxedSpace) -> Sites | None:
    """What the nodes of ``space`` depend on; None where that is not written down."""
    if isinstance(space, AutoDeepLabSpace):
        return AutoDeepLabSites(space)
    if isinstance(space, FasterSegSpace):
        return FasterSegSites(space)
    if isinstance(space, NasnetSpace) and space.skeleton == "cell-segmentation":
        return NasnetSites(space, int(str(space.params.get("layers", DEFAULTS["layers"]))))
    return None
