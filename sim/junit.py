"""Expectations as JUnit XML, so that a forge shows a scenario like any other test."""

from typing import Any
from xml.etree import ElementTree


def render(results: dict[str, Any]) -> str:
    """Return one test suite: a test case for each expectation of ``results`` (`results.json`)."""
    expectations = results["expectations"]
    failures = [entry for entry in expectations if not entry["ok"]]
    suite = ElementTree.Element(
        "testsuite",
        name=results["scenario"]["title"],
        tests=str(len(expectations)),
        failures=str(len(failures)),
        errors="0",
        skipped="0",
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name in ("seed", "nights", "commit", "digest"):
        ElementTree.SubElement(properties, "property", name=name, value=str(results[name]))
    for entry in expectations:
        case = ElementTree.SubElement(
            suite, "testcase", classname=results["scenario"]["file"], name=f"{entry['path']} {entry['bound']}"
        )
        if not entry["ok"]:
            message = f"{entry['path']} is {entry['value']}, expected {entry['bound']}"
            ElementTree.SubElement(case, "failure", message=message).text = message
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
