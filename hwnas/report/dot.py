"""Pictures from DOT source, by Graphviz's ``dot`` where it is installed and by ``graphviz-pure`` elsewhere."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

from hwnas.errors import HwnasError, MissingPackage
from hwnas.files import write_with

PNG_DPI = 144
TIMEOUT_S = 120
FORMATS = {"dot": ("svg", "png", "pdf"), "graphviz-pure": ("svg", "png")}


def render(source: str, path: Path, format: str | None = None) -> Path:
    """Draw DOT ``source`` into ``path`` and return where it is.

    The format is ``svg``, ``png`` or ``pdf``: that of ``path``'s suffix, or ``format``, which is then the suffix. A
    format that nothing here can draw, or source that is not DOT, is a HwnasError.
    """
    if format is None:
        format = path.suffix.removeprefix(".")
    elif path.suffix != f".{format}":
        path = path.with_name(f"{path.name}.{format}")
    if format not in FORMATS["dot"]:
        raise HwnasError(
            f"cannot draw {path}: pictures are {', '.join(FORMATS['dot'])}", "choose one of these suffixes"
        )
    programs = _programs()
    able = [program for name, program in programs.items() if format in FORMATS[name]]
    if not able and programs:
        raise HwnasError(
            f"cannot draw {path}: only Graphviz's own dot writes {format}, and it is not installed",
            "install Graphviz, or draw an svg or png",
        )
    if not able:
        raise MissingPackage("neither dot nor graphviz-pure is installed", "install one: pip install graphviz-pure")
    write_with(path, lambda temporary: _run_first_able(able, source, temporary, format))
    return path


def _programs() -> dict[str, str]:
    """Name → executable of what is installed, the preferred one first."""
    scripts = sysconfig.get_path("scripts")  # where pip puts it, on the PATH or not
    found = {
        "dot": shutil.which("dot"),
        "graphviz-pure": shutil.which("graphviz-pure", path=scripts) or shutil.which("graphviz-pure"),
    }
    return {name: program for name, program in found.items() if program}


def _run_first_able(programs: list[str], source: str, path: Path, format: str) -> None:
    """Try one after the other: a ``dot`` may be there and lack its plugins."""
    complaint = ""
    for program in programs:
        arguments = [program, f"-T{format}", *([f"-Gdpi={PNG_DPI}"] if format == "png" else []), "-o", str(path)]
        try:
            done = subprocess.run(
                arguments, input=source, text=True, encoding="utf-8", capture_output=True, timeout=TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            complaint = str(error)
            continue
        if done.returncode == 0 and path.stat().st_size:
            return
        complaint = next(iter(done.stderr.strip().splitlines()[-1:]), f"it ended with {done.returncode}")
    raise HwnasError(f"drawing failed: {complaint}", "report the graph that cannot be drawn")
