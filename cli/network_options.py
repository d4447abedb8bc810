"""The options that say which network is meant: the skeleton of a notation, and what replaces its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hwnas.zoo.resolve import Network

PANEL = "Options of the network"


@dataclass(frozen=True)
class NetworkOptions:
    """What was given; a verb that takes a parameter of this type has all of these options."""

    skeleton: str = ""
    channels: int | None = None
    layers: int | None = None
    auxiliary: bool = False
    param: tuple[str, ...] = ()

    def resolve(self, genotype: str) -> Network:
        """The network that a file or a name of the zoo stands for, with these options."""
        from hwnas.zoo.resolve import parse_param, resolve_network

        given = {"channels": self.channels, "layers": self.layers, "auxiliary": self.auxiliary or None}
        options = {name: value for name, value in given.items() if value is not None}
        params = dict(parse_param(text) for text in self.param)
        return resolve_network(genotype, skeleton=self.skeleton, options=options, params=params)


def network_options(
    skeleton: Annotated[
        str,
        typer.Option(
            "--skeleton",
            metavar="NAME",
            help="Read a published notation as this skeleton's, or put the cells into it: darts-cifar, …",
            rich_help_panel=PANEL,
        ),
    ] = "",
    channels: Annotated[
        int | None, typer.Option("--channels", min=1, help="Width of the first cells.", rich_help_panel=PANEL)
    ] = None,
    layers: Annotated[
        int | None, typer.Option("--layers", min=1, help="How many cells.", rich_help_panel=PANEL)
    ] = None,
    auxiliary: Annotated[
        bool, typer.Option("--auxiliary", help="With the heads that only training needs.", rich_help_panel=PANEL)
    ] = False,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            metavar="NAME=VALUE",
            help="Another parameter of the skeleton, as often as needed.",
            rich_help_panel=PANEL,
        ),
    ] = None,
) -> None:
    """Only its signature is used."""
