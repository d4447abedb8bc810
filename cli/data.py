"""``hwnas data``: looking after data sets. ``data check`` is the linter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.output import EXIT_FAIL, EXIT_OK, Answer
from hwnas.cli.verb import Shell, add_verb, new_group, verb

if TYPE_CHECKING:
    from rich.console import Console

    from hwnas.data.lint import LintReport

app = new_group("Data sets: check.", example="hwnas data check camvid:CamVid")


@verb(example="hwnas data check camvid:CamVid")
def check(
    shell: Shell,
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="The data set: streets, camvid:DIR, folder:DIR …")],
) -> Answer:
    """Look for faults in a data set: labels outside the map, missing pairs, frames shared by splits and more.

    Reads every image and mask and changes nothing. Ends with exit code 1 if there are errors; warnings are worth a
    look.
    """
    from hwnas.data.base import open_dataset
    from hwnas.data.lint import check_dataset

    report = check_dataset(open_dataset(spec), shell.progress)
    return Answer(report.to_dict(), lambda console: print_report(console, report), EXIT_OK if report.ok else EXIT_FAIL)


def print_report(console: Console, report: LintReport) -> None:
    """What there is, each class's share of the pixels, and a line for each kind of fault."""
    from rich.table import Table

    splits = list(report.images)
    images = ", ".join(f"{count} in {split}" for split, count in report.images.items())
    sizes = ", ".join(f"{height}x{width}" for height, width in list(report.sizes)[:4])
    console.print(f"{report.spec}: {images}; {len(report.classes)} classes; {sizes}", markup=False, soft_wrap=True)
    table = Table("class", *(f"% of {split}" for split in splits))
    for index, name in enumerate(report.classes):
        shares = [report.pixels[split][index] / max(1, sum(report.pixels[split])) for split in splits]
        table.add_row(name, *(f"{share:.2%}" for share in shares))
    console.print(table)
    for issue in report.issues:
        style = "bold red" if issue.severity == "error" else "yellow"
        console.print(f"[{style}]{issue.severity}[/{style}] {issue.kind}: {issue.count}, first: ", end="")
        console.print(issue.message, markup=False, soft_wrap=True)
    console.print("no faults found" if not report.issues else f"{len(report.issues)} kind(s) of fault")


add_verb(app, "check", check)
