"""Where a search's candidates are evaluated: in this process, or by Ray's workers here or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.cli.settings import Settings, networks_of, with_recipes
from hwnas.cli.stages.data import open_training_data
from hwnas.cli.stages.evaluating import ON_DEVICES, Workshop, measures_of, names_of, resolved
from hwnas.cli.stages.searching import shown_to_slices, slice_evaluator
from hwnas.cores import usable_cores
from hwnas.errors import HwnasError
from hwnas.optional import require
from hwnas.progress import Progress, Silent
from hwnas.search.evaluators.slices import SliceScores
from hwnas.search.ray_executor import Placement, check_room, cluster_room, ray_workers
from hwnas.shapes import Shape
from hwnas.skeletons.base import expand
from hwnas.spaces.base import Decisions, SearchSpace

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.ir.opgraph import OpGraph
    from hwnas.search.backbone import Backbone
    from hwnas.search.executor import Executor
    from hwnas.search.strategy import Evaluator
    from hwnas.supernet.shared import SharedWeights
    from hwnas.supernet.slices import Extent


@dataclass(frozen=True)
class Workers:
    """How a search is spread. ``count``: None on a cluster is as many as it has room for; ``cpus`` and ``gpus`` are
    those of each.

    It says nothing of what is searched: a run may be resumed with others.
    """

    count: int | None = 1
    address: str | None = None
    cpus: int | None = None
    gpus: float = 0.0

    @property
    def remote(self) -> bool:
        """Whether other processes evaluate at all."""
        return self.address is not None or self.count != 1

    @property
    def placement(self) -> Placement:
        """On this machine the cores are shared out; on a cluster a worker has one, unless it is said."""
        cpus = self.cpus
        if cpus is None:
            cpus = 1 if self.address is not None else max(1, usable_cores() // (self.count or 1))
        return Placement(cpus=cpus, gpus=self.gpus, threads=cpus)

    def check(self, settings: Settings) -> None:
        """Refuse what cannot be had before hours are spent: MissingPackage without Ray, HwnasError where there is no
        such cluster or no room, or where GPUs would idle."""
        if self.gpus:
            self._check_gpus(settings)
        if not self.remote:
            if self.cpus is not None:
                raise HwnasError("--worker-cpus is for workers, and there are none", "give --workers N, or --ray")
            return
        require("ray", extra="ray")
        if self.address is not None:
            cluster_room(self.address, self.placement)
        else:
            check_room(self.count or 1, self.placement)

    def _check_gpus(self, settings: Settings) -> None:
        if not self.remote:
            raise HwnasError("--worker-gpus is of workers, and there are none", "give --workers N or --ray ADDRESS")
        recipes = bool(settings.vary)
        used = names_of(resolved(settings.evaluation, settings.strategy, settings.networks, recipes=recipes))
        if not ON_DEVICES & set(used):
            raise HwnasError(
                f"the evaluator {' and '.join(used)} computes on cores alone: a worker's GPU would idle",
                "use --evaluator training or proxy, or leave out --worker-gpus",
            )


@dataclass(frozen=True)
class Supernet:
    """A supernet's weights as a worker is sent them; ``sha256`` is their file's."""

    extents: Mapping[str, Extent]
    tensors: Mapping[str, Tensor]
    sha256: str

    @classmethod
    def of(cls, shared: SharedWeights, sha256: str) -> Supernet:
        return cls(dict(shared.extents), shared.state_dict(), sha256)


@dataclass(frozen=True)
class Work:
    """What a worker is sent, once, to evaluate candidates: everything but the images, which it reads itself.

    ``module`` registers the ``space``; ``folder`` is the run's, where results and checkpoints are kept.
    """

    module: str
    space: str
    options: EvaluatorOptions
    data: str
    size_hw: tuple[int, int]
    folder: Path
    seed: int
    threads: int
    backbone: Backbone | None = None
    supernet: Supernet | None = None
    network: Mapping[str, Any] | None = None
    vary: tuple[str, ...] = ()
    qualities: tuple[str, ...] = ()
    """What is measured of a candidate."""
    device: str = "cpu"
    """Where trainings run."""

    def __call__(self) -> Evaluator:
        """Runs in the worker."""
        import torch

        torch.set_flush_denormal(True)
        import_module(self.module)
        space = with_recipes(networks_of(self.space, self.network), self.vary)
        data, measures = open_training_data(self.data, self.size_hw, Silent()), measures_of(self.qualities)

        def slices() -> SliceScores:
            from hwnas.supernet.shared import SharedWeights

            assert self.supernet is not None
            evaluator = slice_evaluator(SharedWeights(self.supernet.extents, self.supernet.tensors), data)
            return SliceScores(
                space,
                evaluator,
                graph_of,
                supernet=self.supernet.sha256,
                data=self.data,
                measures=measures,
                shown=shown_to_slices(data),
            )

        def graph_of(decisions: Decisions, shape: Shape) -> OpGraph:
            return expand(space.decode(decisions).genotype, shape, data.classes)

        workshop = Workshop(
            space,
            data,
            self.options,
            self.folder,
            self.seed,
            self.threads,
            Silent(),
            self.backbone,
            None if self.supernet is None else slices,
            measures,
            self.device,
        )
        return workshop.evaluator()


def module_of(space: SearchSpace) -> str:
    """The module that registers a space: a worker imports it, in case that it is no part of hwnas."""
    return type(space).__module__


@contextmanager
def at_work(workers: Workers, work: Work, progress: Progress, *, limit_s: float | None = None) -> Iterator[Executor]:
    """The workers, which evaluate a candidate for ``limit_s`` seconds at most.

    They are gone when the block ends, so that whatever is timed next has its cores for itself.
    """
    count = workers.count
    if count is None:
        assert workers.address is not None
        count = cluster_room(workers.address, workers.placement)
    placement = workers.placement
    work = replace(work, device="cuda" if placement.gpus else "cpu")
    with ray_workers(
        work, count, address=workers.address, placement=placement, limit_s=limit_s, progress=progress
    ) as executor:
        yield executor
