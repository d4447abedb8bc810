"""The code that CONTRIBUTING.md shows is this repository's, so that it does not go stale."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"^```python (\S+)\n(.*?)^```$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL)


def test_every_registry_that_people_add_to_is_shown() -> None:
    shown = {path.split("/")[1] for path, _ in BLOCKS}
    assert {"ops", "spaces", "search", "exporters"} <= shown


@pytest.mark.parametrize(("path", "code"), BLOCKS, ids=[f"{i}-{path}" for i, (path, _) in enumerate(BLOCKS)])
def test_shown_code_is_in_the_file(path: str, code: str) -> None:
    assert code.rstrip() in (ROOT / path).read_text(), f"CONTRIBUTING.md shows code that {path} no longer has"


def test_named_files_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for name in re.findall(r"`((?:hwnas|tests|cli|exporters)/[\w/]+\.py)`", text):
        assert (ROOT / name).is_file(), name
