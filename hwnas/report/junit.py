"""A verdict as JUnit XML, which continuous integration servers show: one test case a criterion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from hwnas.files import write_text


def junit_xml(verdict: Mapping[str, Any], name: str) -> str:
    """The XML of a verdict's JSON document (``checks``, and ``seconds`` if known); ``name`` says what was judged."""
    checks = verdict["checks"]
    failed = [check for check in checks if not check["passed"]]
    suite = ElementTree.Element(
        "testsuite", name="hwnas validate", tests=str(len(checks)), failures=str(len(failed)), errors="0", skipped="0"
    )
    for check in checks:
        case = ElementTree.SubElement(suite, "testcase", classname=name, name=check["name"])
        if not check["passed"]:
            ElementTree.SubElement(case, "failure", message=check["finding"])
        ElementTree.SubElement(case, "system-out").text = check["finding"]
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def write_junit(verdict: Mapping[str, Any], name: str, path: Path) -> None:
    """Write :func:`junit_xml` to ``path``, beside and renamed."""
    write_text(path, junit_xml(verdict, name))
