from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from hwnas.report.junit import write_junit


def test_one_case_a_criterion(tmp_path: Path) -> None:
    checks = [
        {"name": "latency p50", "passed": True, "finding": "latency p50 is 4.00 ms, within the budget of 5 ms"},
        {"name": "mIoU", "passed": False, "finding": 'the engine\'s mIoU is 50% & "low"'},
    ]
    write_junit({"checks": checks}, "net", tmp_path / "out" / "junit.xml")
    suite = ElementTree.parse(tmp_path / "out" / "junit.xml").getroot()
    assert (suite.tag, suite.get("tests"), suite.get("failures")) == ("testsuite", "2", "1")
    first, second = suite.findall("testcase")
    assert first.get("name") == "latency p50" and first.find("failure") is None
    failure = second.find("failure")
    assert failure is not None and failure.get("message") == checks[1]["finding"]
