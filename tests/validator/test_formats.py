"""The report for machines: JUnit XML, SARIF and GitHub Actions, read by parsers that are not ours."""

import re
from xml.etree import ElementTree

import pytest
from junitparser import JUnitXml
from sarif_pydantic import Sarif

from tests.validator import forge
from tests.validator.corpus import rejected
from tests.validator.test_names import HOSTILE, obeyed
from validator import validate
from validator.findings.codes import new_finding
from validator.report.github import github, summary
from validator.report.junit import junit
from validator.report.sarif import sarif


@pytest.fixture(scope="module")
def eleven(tmp_path_factory):
    make, _ = rejected.CASES["eleven_mistakes"]
    return validate(make(tmp_path_factory.mktemp("eleven")), forge.CHALLENGE)


WARNED = [
    new_finding("silent", "L1/a/L1_a_left_bass.flac", "It is silent."),
    new_finding("remix-loud", "x", "m."),
]


def command(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as the runner of GitHub Actions reads it: its name, its properties and its message."""
    found = re.fullmatch(r"::([a-z]+)(?: (.*?))?::(.*)", line)
    assert found, line
    properties = dict(one.split("=", 1) for one in found[2].split(","))
    for name, value in properties.items():
        for escaped, char in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
            value = value.replace(escaped, char)  # noqa: PLW2901
        properties[name] = value
    message = found[3].replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
    return found[1], properties, message


def test_junit_has_a_failed_test_for_each_error(eleven):
    (suite,) = JUnitXml.fromstring(eleven.render("junit").encode())
    assert suite.name == "submission_E001.zip"
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (11, 11, 0, 0)
    by_code = {case.classname: case for case in suite}
    (failure,) = by_code["bit-depth"].result
    assert failure.message == "The bit depth is 24 instead of 16."
    assert "How to fix: Save as 16-bit FLAC" in failure.text
    assert by_code["bit-depth"].name.endswith("_left_bass.flac")


def test_warnings_fail_in_junit_only_if_they_are_meant_to():
    (suite,) = JUnitXml.fromstring(junit("s.zip", WARNED, strict=False).encode())
    assert (suite.tests, suite.failures) == (3, 0)
    assert "It is silent." in next(case for case in suite if case.classname == "silent").system_out
    (suite,) = JUnitXml.fromstring(junit("s.zip", WARNED, strict=True).encode())
    assert (suite.tests, suite.failures) == (2, 1)


def test_a_valid_submission_is_one_test_that_passes():
    (suite,) = JUnitXml.fromstring(junit("s.zip", [], strict=True).encode())
    (case,) = suite
    assert case.is_passed
    assert case.name == "s.zip"


def test_sarif_has_a_result_for_each_finding_and_a_rule_for_each_code(eleven):
    log = Sarif.model_validate_json(eleven.render("sarif"))
    (run,) = log.runs
    assert log.version == "2.1.0"
    rules = [rule.id for rule in run.tool.driver.rules]
    assert len(run.results) == len(rules) == 11
    assert all(rules[result.rule_index] == result.rule_id for result in run.results)
    depth = next(result for result in run.results if result.rule_id == "bit-depth")
    assert depth.level.value == "error"
    assert depth.message.text.startswith("The bit depth is 24 instead of 16.")
    (place,) = depth.locations
    uri = place.physical_location.artifact_location.uri
    assert re.fullmatch(r"[\w./%~-]+", uri)
    assert uri.startswith("submission_E001.zip/L6001/Ann%20O%27Nym")


def test_a_location_in_sarif_never_leaves_the_submission(eleven):
    log = Sarif.model_validate_json(eleven.render("sarif"))
    unsafe = next(result for result in log.runs[0].results if result.rule_id == "member-name")
    assert unsafe.locations[0].physical_location.artifact_location.uri == "submission_E001.zip"


def test_levels_of_sarif_follow_the_severity():
    log = Sarif.model_validate_json(sarif("s.zip", WARNED))
    assert [result.level.value for result in log.runs[0].results] == ["warning", "note"]


def test_github_gets_an_annotation_for_each_code_and_the_text(eleven):
    lines = eleven.render("github").splitlines()
    read = [command(line) for line in lines if line.startswith("::")]
    assert len(read) == 11
    assert {name for name, _, _ in read} == {"error"}
    title, message = next((p["title"], m) for _, p, m in read if "[bit-depth]" in p["title"])
    assert title == "submission_E001.zip: Wrong bit depth [bit-depth]"
    assert "_left_bass.flac: The bit depth is 24 instead of 16.\nHow to fix: Save as" in message
    assert lines[-1] == eleven.to_text().splitlines()[-1]


def test_many_findings_of_a_code_are_one_annotation():
    found = [new_finding("missing", f"L{i}/100%,a", "It is: missing.") for i in range(441)]
    (line,) = github("s.zip", found).splitlines()
    _, _, message = command(line)
    assert message.split("\n")[0] == "L0/100%,a: It is: missing."
    assert "… and 438 more" in message


def test_github_names_each_severity():
    names = [command(line)[0] for line in github("s.zip", WARNED).splitlines()]
    assert names == ["warning", "notice"]


def test_the_summary_of_a_step_is_a_table(eleven):
    lines = summary("submission_E001.zip", eleven.findings).splitlines()
    assert lines[0] == r"### submission_E001.zip is invalid"
    assert lines[2] == "11 errors, 0 warnings."
    assert len([line for line in lines if line.startswith("| error |")]) == 11
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 5 for line in lines[4:])
    assert summary("s.zip", []) == "### s.zip is valid\n\n0 errors, 0 warnings.\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_format_lets_a_name_write_a_command(text):
    found = [
        new_finding("unexpected", **{"path": "p", "message": "m.", field: text}, hint=text)
        for field in ("path", "message", "expected", "found")
    ]
    for output in (junit(text, found, strict=False), sarif(text, found)):
        assert not any(obeyed(line) for line in output.splitlines())
        assert all(line.isprintable() for line in output.split("\n"))
    ElementTree.fromstring(junit(text, found, strict=False))
    Sarif.model_validate_json(sarif(text, found))
    (line,) = github(text, found).split("\n")[:-1]
    assert line.isprintable()
    assert command(line)[0] == "error"
    assert "##[" not in line
