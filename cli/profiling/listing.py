"""``hwnas profile list``: the latency tables that come with hwnas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb

if TYPE_CHECKING:
    from rich.console import Console


@verb(example="hwnas profile list")
def command(shell: Shell) -> Answer:
    """List the latency tables that come with hwnas: --table takes their names, too."""
    from hwnas.latency.shipped import shipped_names
    from hwnas.latency.table import load_table

    tables = []
    for name in shipped_names():
        table = load_table(name)
        contract = table.contract
        tables.append(
            {
                "name": name,
                "device": contract.device,
                "engine": f"{contract.engine} {contract.engine_version}",
                "precision": contract.precision,
                "threads": contract.threads,
                "size": "x".join(map(str, contract.size_hw)),
                "kernels": len(table.entries),
                "source": str(table.provenance.get("source", "measured with hwnas")),
            }
        )

    def text(console: Console) -> None:
        from rich.table import Table

        rows = Table()
        rows.add_column("table", no_wrap=True)
        for heading in ("device", "engine", "precision", "size"):
            rows.add_column(heading)
        for heading in ("threads", "kernels"):
            rows.add_column(heading, justify="right")
        for each in tables:
            shown = ("name", "device", "engine", "precision", "size", "threads", "kernels")
            rows.add_row(*(str(each[field]) for field in shown))
        console.print(rows)
        for each in tables:
            console.print(f"{each['name']}: {each['source']}", markup=False, soft_wrap=True)

    return Answer({"tables": tables}, text)
