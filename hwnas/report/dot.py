"""Pictures from DOT source, by Graphviz's ``dot`` where it is installed and by ``graphviz-pure`` elsewhere."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

from hwnas.errors import HwnasError, MissingPackage
from hwnas.files import write_bytes, write_text

PNG_DPI = 144
TIMEOUT_S = 120
FORMATS = {"dot": ("svg", "png", "pdf"), "graphviz-pure": ("svg", "png")}


def check_picture_folder(path: Path, format_option: str = "") -> None:
    """HwnasError if ``path``, which is to be a folder of pictures, is named like one; ``format_option`` says of what
    format they are, where there is one."""
    if path.suffix.removeprefix(".") in (*FORMATS["dot"], "dot"):
        words = f"-o {path.with_suffix('')}" + (f" {format_option} {path.suffix[1:]}" if format_option else "")
        raise HwnasError(f"{path} is to be a folder, since several pictures are drawn", f"name a folder: {words}")


def render(source: str, path: Path, format: str | None = None) -> Path:
    """Draw DOT ``source`` into ``path`` and return where it is.

    The format is ``svg``, ``png``, ``pdf`` or ``dot`` (the source itself): that of ``path``'s suffix, or ``format``,
    which is then the suffix. A format that nothing here can draw, or source that is not DOT, is a HwnasError.
    """
    if format is None:
        format = path.suffix.removeprefix(".")
    elif path.suffix != f".{format}":
        path = path.with_name(f"{path.name}.{format}")
    if format == "dot":
        write_text(path, source)
        return path
    if format not in FORMATS["dot"]:
        raise HwnasError(
            f"cannot draw {path}: pictures are {', '.join([*FORMATS['dot'], 'dot'])}", "choose one of these suffixes"
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
    write_bytes(path, _picture(able, source, format))
    return path


def _programs() -> dict[str, str]:
    """Name → executable of what is installed, the preferred one first."""
    scripts = sysconfig.get_path("scripts")  # where pip puts it, on the PATH or not
    found = {
        "dot": shutil.which("dot"),
        "graphviz-pure": shutil.which("graphviz-pure", path=scripts) or shutil.which("graphviz-pure"),
    }
    return {name: program for name, program in found.items() if program}


def _picture(programs: list[str], source: str, format: str) -> bytes:
    """Try one after the other: a ``dot`` may be there and lack its plugins. They write no file: a full disk is ours."""
    complaint = ""
    for program in programs:
        arguments = [program, f"-T{format}", *([f"-Gdpi={PNG_DPI}"] if format == "png" else [])]
        try:
            done = subprocess.run(arguments, input=source.encode(), capture_output=True, timeout=TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            complaint = str(error)
            continue
        if done.returncode == 0 and done.stdout:
            return done.stdout
        said = done.stderr.decode(errors="replace").strip().splitlines()
        complaint = said[-1] if said else f"it ended with {done.returncode}"
    raise HwnasError(f"drawing failed: {complaint}", "report the graph that cannot be drawn")
