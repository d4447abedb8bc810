"""``hwnas proxy-study``: which cheap evaluation ranks networks as their full training does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli.options import DataOption, ResumeOption, RunOption, SizeOption, SpaceOption
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb

if TYPE_CHECKING:
    from rich.console import Console

    from hwnas.search.proxy_study import Study
    from hwnas.spaces.base import Decisions, SearchSpace

DEFAULT_PROXIES = ("r0.5", "e0.25", "s0.5", "c0.5", "r0.5,e0.5", "c0.5,r0.5", "c0.5,r0.5,e0.5,s0.5")
STUDY, PICTURE = "study.json", "study.png"


@verb(
    example="hwnas proxy-study --data streets --size 96x128 --proxy r0.5 --run runs/p",
    resumable=True,
)
def command(
    shell: Shell,
    data: DataOption,
    size: SizeOption,
    run: RunOption,
    space: SpaceOption = "realtime",
    nets: Annotated[int, typer.Option("--nets", min=3, help="Networks that are trained in full.")] = 12,
    train_steps: Annotated[int, typer.Option("--train-steps", min=1, help="Steps of a full training.")] = 400,
    proxy: Annotated[
        list[str] | None,
        typer.Option("--proxy", metavar="PARTS", help="A proxy to study, like c0.5,r0.5,e0.25; as often as needed."),
    ] = None,
    zero_cost: Annotated[
        list[str] | None,
        typer.Option("--zero-cost", metavar="SCORE", help="A zero-cost score to study: synflow, naswot, …"),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="COST=NUMBER", help="Only networks with at most this: macs, params, …"),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="FILE", help="Keep evaluations in this file, which runs may share."),
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option("--time-limit", metavar="SECONDS", help="At most so long for one training.")
    ] = None,
    resume: ResumeOption = False,
) -> Answer:
    """Train a sample of networks fully and under each proxy, and report rank correlation against speed-up.

    Without --proxy and --zero-cost, a usual choice of proxies is studied.
    """

    from hwnas.cli.evaluator_options import EvaluatorOptions
    from hwnas.cli.options import parse_limits
    from hwnas.cli.stages import beforehand
    from hwnas.cli.stages.data import open_training_data
    from hwnas.cli.stages.evaluating import Workshop, check_options
    from hwnas.files import write_json
    from hwnas.rundir import RunDir
    from hwnas.search.evaluators.proxy import parse_proxy
    from hwnas.search.evaluators.zero_cost import ZERO_COST
    from hwnas.shapes import parse_size
    from hwnas.spaces.base import SPACES

    texts = proxy or (() if zero_cost else DEFAULT_PROXIES)
    proxies = {str(each): each for each in map(parse_proxy, texts) if str(each) != "full"}
    scores = {name: ZERO_COST.get(name) for name in zero_cost or ()}
    options = EvaluatorOptions(
        "training", train_steps, results=str(results) if results else None, time_limit=time_limit
    )
    check_options(options)
    limits, searched, size_hw = parse_limits(limit or []), SPACES.get(space), parse_size(size)
    beforehand.check_data(data)
    facts = {"space": space, "data": data, "size_hw": list(size_hw), "train_steps": train_steps, "seed": shell.seed}
    config = {**facts, "limits": limits, "nets": nets, "proxies": sorted(proxies), "zero_cost": sorted(scores)}
    # a study may be resumed with more networks or other proxies: what is known is in the evaluations file
    with RunDir.open(run, config, resume=resume, may_differ=("nets", "proxies", "zero_cost")):
        images = open_training_data(data, size_hw, shell.progress)
        shop = Workshop(searched, images, options, run, shell.seed, None, shell.progress)
        study = _study(shell, shop, limits, nets, proxies, scores)
        document: dict[str, Any] = {**facts, "limits": limits, **study.to_dict(), "evaluations": str(shop.file.path)}
        write_json(run / STUDY, _plain(document))
        document |= {"run": str(run), "study": str(run / STUDY), "picture": _picture(study, run / PICTURE, shell)}
    document.pop("scores")
    return Answer(document, lambda console: _print(console, document))


def _study(
    shell: Shell,
    shop: Any,
    limits: Mapping[str, float],
    nets: int,
    proxies: Mapping[str, Any],
    scores: Mapping[str, Any],
) -> Study:
    import time

    import numpy as np

    from hwnas.cli.stages.zero_cost import scorer
    from hwnas.search.proxy_study import run_study, sample_nets

    rng = np.random.default_rng([shell.seed, 11])
    drawn = sample_nets(shop.space, nets, rng, _allowed(shop.space, limits, shop.data))
    return run_study(
        drawn,
        shop.cached(shop.training()),
        {name: shop.cached(shop.proxy(each)) for name, each in proxies.items()},
        {name: scorer(score, shop.space, shop.images, shell.seed) for name, score in scores.items()},
        progress=shell.progress,
        seed=shell.seed,
        clock=time.monotonic,
    )


def _allowed(space: SearchSpace, limits: Mapping[str, float], data: Any) -> Callable[[Decisions], bool]:
    if not limits:
        return lambda _: True
    import numpy as np

    from hwnas.latency.costs.base import CostSetting, Population, PopulationCosts, cost_model

    size_hw = data.arrays.images.shape[1:3]
    population = Population(space, size_hw, data.classes, np.random.default_rng(1))
    costs = PopulationCosts([cost_model(name, CostSetting()) for name in limits], population)

    def allowed(decisions: Decisions) -> bool:
        found = costs.of_many([decisions])
        return all(float(found[name][0]) <= limit for name, limit in limits.items())

    return allowed


def _picture(study: Study, path: Path, shell: Shell) -> str | None:
    """Rank correlation against speed-up; None, said once, without matplotlib."""
    from hwnas.errors import MissingPackage
    from hwnas.report.scatter import Dot, draw_dots

    kinds = (("proxies", study.proxies), ("zero-cost", study.zero_cost))
    dots = [
        Dot(row.name, kind, row.speedup, row.spearman)
        for kind, rows in kinds
        for row in rows
        if row.spearman is not None
    ]
    if not dots:
        return None
    try:
        draw_dots(dots, (), path, x_label="speed-up over the full training", y_label="Spearman with the full training")
    except MissingPackage as error:
        shell.progress.say(f"no picture: {error.hint}")
        return None
    return str(path)


def _plain(document: Mapping[str, Any]) -> Any:
    from hwnas.cli.output import jsonable

    return jsonable(document)


def _print(console: Console, document: Mapping[str, Any]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("evaluation", "Spearman", "90% interval", "speed-up", "seconds", "networks"):
        table.add_column(name, justify="left" if name == "evaluation" else "right")
    table.add_row("full", "1", "", "1", f"{document['full_seconds']:.1f}", str(document["nets"]))
    for row in (*document["proxies"], *document["zero_cost"]):
        rho = "-" if row["spearman"] is None else f"{row['spearman']:.2f}"
        low, high = row["interval"]
        interval = f"{low:.2f} to {high:.2f}"
        table.add_row(row["name"], rho, interval, f"{row['speedup']:.1f}", f"{row['seconds']:.2f}", str(row["nets"]))
    console.print(table)
    if document["proxies"]:
        best = document["recommended"]
        console.print(
            f"recommended  {best}: the fastest with a Spearman of {document['enough']:g} or more"
            if best
            else f"recommended  none: no proxy reaches a Spearman of {document['enough']:g}",
            markup=False,
        )
    console.print(f"study        {document['study']}", markup=False)
    if document["picture"]:
        console.print(f"picture      {document['picture']}", markup=False)
