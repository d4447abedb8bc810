"""The options that say in which form a network is exported: for which engine, with what inside, in how many bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.options import BatchOption, EngineOption, PrecisionOption
from hwnas.errors import HwnasError

if TYPE_CHECKING:
    from hwnas.cli.exports import Order

PANEL = "Options of int8"
DYNAMIC = ("onnx", "onnxruntime", "openvino")
"""Engines that take any number of images; TensorRT's are built for one."""


@dataclass(frozen=True)
class ExportOptions:
    """What was given; a verb that takes a parameter of this type has all of these options."""

    engine: str = "onnxruntime"
    precision: str = "fp32"
    argmax: bool = False
    batch: int = 1
    dynamic_batch: bool = False
    preprocess: bool = False
    target: str = ""
    runner: str | None = None
    data: str | None = None
    calibration: str = "minmax"
    calibration_images: int = 100
    max_miou_drop: float | None = None

    def order(self) -> Order:
        """What is to be made; options that exclude each other are a HwnasError."""
        from hwnas.cli.exports import Order
        from hwnas.cli.stages.quantizing import Int8Options
        from hwnas.exporters.runner import check_runner

        if self.dynamic_batch and (self.batch != 1 or self.engine not in DYNAMIC):
            raise HwnasError(
                f"--dynamic-batch is for {', '.join(DYNAMIC)}, without --batch",
                "leave one of them out: other engines are built for a number of images, --batch N",
            )
        if self.runner is not None:
            check_runner(self.runner, self.engine)
        max_drop = None if self.max_miou_drop is None else self.max_miou_drop / 100
        return Order(
            engine=self.engine,
            precision=self.precision,
            argmax=self.argmax,
            preprocess=self.preprocess,
            batch=None if self.dynamic_batch else self.batch,
            data=self.data,
            int8=Int8Options(_listed(self.calibration), self.calibration_images, max_drop),
            runner=self.runner,
            targets=_listed(self.target),
        )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def export_options(
    engine: EngineOption = "onnxruntime",
    precision: PrecisionOption = "fp32",
    argmax: Annotated[
        bool, typer.Option("--argmax", help="Only the engine whose output is labels; else that with logits, too.")
    ] = False,
    batch: BatchOption = 1,
    dynamic_batch: Annotated[
        bool, typer.Option("--dynamic-batch", help=f"Any number of images at a time ({', '.join(DYNAMIC)}).")
    ] = False,
    preprocess: Annotated[
        bool, typer.Option("--preprocess", help="Take uint8 NHWC pixels and normalise inside the engine.")
    ] = False,
    target: Annotated[
        str, typer.Option("--target", metavar="SM,…", help="For tensorrt-rtx: the GPUs to build for, like sm86,sm89.")
    ] = "",
    runner: Annotated[
        str | None,
        typer.Option("--runner", metavar="KIND", help="Also write a program that needs no hwnas: python or cpp."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="SPEC", help="Compare with PyTorch on its train images; int8 needs it."),
    ] = None,
    calibration: Annotated[
        str,
        typer.Option(
            "--calibration",
            metavar="NAME,…",
            help="minmax, percentile or entropy; several are compared, and the most accurate is taken.",
            rich_help_panel=PANEL,
        ),
    ] = "minmax",
    calibration_images: Annotated[
        int,
        typer.Option(
            "--calibration-images", min=1, help="Images of train that it is calibrated on.", rich_help_panel=PANEL
        ),
    ] = 100,
    max_miou_drop: Annotated[
        float | None,
        typer.Option(
            "--max-miou-drop",
            metavar="POINTS",
            min=0.0,
            help="Leave parts in float and pick the fastest mix that loses no more, like 0.5.",
            rich_help_panel=PANEL,
        ),
    ] = None,
) -> None:
    """Only its signature is used."""
