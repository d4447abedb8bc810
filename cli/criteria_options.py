"""The options that say what a verdict depends on: the budget, deadlines, accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.options import BudgetAtOption, Percentile, parse_budget_ms, parse_share
from hwnas.errors import HwnasError

if TYPE_CHECKING:
    from hwnas.exporters.criteria import Criteria

PANEL = "What the verdict depends on"


@dataclass(frozen=True)
class CriteriaOptions:
    """What was given; a verb that takes a parameter of this type has all of these options."""

    budget: str | None = None
    budget_at: Percentile = Percentile.p50
    max_p99: str | None = None
    max_miou_drop: float | None = None
    fps: float | None = None
    seconds: float = 20.0
    max_missed: str = "0.1%"

    def criteria(self) -> Criteria:
        """The limits; none on the latency is a HwnasError."""
        from hwnas.exporters.criteria import MAX_MIOU_GAP, Criteria

        if self.budget is None and self.max_p99 is None and self.fps is None:
            raise HwnasError(
                "there is nothing to judge the latency by", "give --budget 10ms, --max-p99 15ms or --fps 30"
            )
        return Criteria(
            budget_ms=None if self.budget is None else parse_budget_ms(self.budget),
            budget_at=self.budget_at.value,
            max_p99_ms=None if self.max_p99 is None else parse_budget_ms(self.max_p99, "--max-p99"),
            max_miou_gap=MAX_MIOU_GAP if self.max_miou_drop is None else self.max_miou_drop / 100,
            fps=self.fps,
            deadline_s=self.seconds,
            max_missed=parse_share(self.max_missed, "--max-missed", most=1.0),
        )


def criteria_options(
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", metavar="LATENCY", help="Latency of one image: 10ms, 0.01s or 100fps.", rich_help_panel=PANEL
        ),
    ] = None,
    budget_at: BudgetAtOption = Percentile.p50,
    max_p99: Annotated[
        str | None,
        typer.Option(
            "--max-p99",
            metavar="LATENCY",
            help="Limit of p99, from arrival to result with --fps.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    max_miou_drop: Annotated[
        float | None,
        typer.Option(
            "--max-miou-drop",
            metavar="POINTS",
            min=0.0,
            help="Points of mIoU that the engine may be below PyTorch; else 0.1 where PyTorch's is known.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            "--fps", metavar="RATE", help="Frames arrive at this rate, as from a camera.", rich_help_panel=PANEL
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="How long frames arrive.", rich_help_panel=PANEL)
    ] = 20.0,
    max_missed: Annotated[
        str,
        typer.Option(
            "--max-missed", metavar="SHARE", help="Deadlines that may be missed, like 0.1%.", rich_help_panel=PANEL
        ),
    ] = "0.1%",
) -> None:
    """Only its signature is used."""
