"""What every test shares: the MicroPython runtimes, hypothesis profiles, and no skipping in silence."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import settings

from tests.runtimes import NAMES, Missing, Runtime, in_ci, known_runtimes
from tests.runtimes.servers import known_mosquitto

# A skip for one of these reasons is a test of the product that did not happen.
SERIOUS = re.compile(r"runtime|server", re.IGNORECASE)
RUNTIME_PROPERTY = "micropython_runtime"

# No deadline: a slow machine is not a wrong program. In CI a failure must come back the next time.
settings.register_profile("ci", derandomize=True, print_blob=True, deadline=None)
settings.register_profile("default", deadline=None)
settings.load_profile("ci" if in_ci() else "default")


def require_runtime(name: str) -> Runtime:
    """The runtime of that name; when it is missing the test is skipped loudly, and in CI it fails."""
    runtime = known_runtimes()[name]
    if isinstance(runtime, Runtime):
        return runtime
    reason = f"runtime {runtime.description}"
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(params=NAMES)
def micropython_runtime(request: pytest.FixtureRequest) -> Runtime:
    """The test runs once on each MicroPython."""
    request.node.user_properties.append((RUNTIME_PROPERTY, request.param))
    return require_runtime(request.param)


def pytest_report_header(config: pytest.Config) -> list[str]:
    servers = [f"server {known_mosquitto().description}"]
    return [f"runtime {runtime.description}" for runtime in known_runtimes().values()] + servers


def _skip_reasons(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return [report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr) for report in reports]


def pytest_sessionfinish(session: pytest.Session) -> None:
    # xdist's workers have no terminal: the controller sees every report and judges once.
    if in_ci() and any(SERIOUS.search(reason) for reason in _skip_reasons(session.config)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    ran: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            ran.update(value for key, value in getattr(report, "user_properties", []) if key == RUNTIME_PROPERTY)
    skipped = [reason for reason in _skip_reasons(config) if SERIOUS.search(reason)]

    terminalreporter.section("MicroPython runtimes")
    for name, runtime in known_runtimes().items():
        if isinstance(runtime, Missing):
            lost = sum(name in reason for reason in skipped)
            terminalreporter.write_line(f"{lost} tests NOT RUN: {runtime.description}", red=True, bold=True)
        else:
            terminalreporter.write_line(f"{ran[name]} tests on {runtime.description}")
    if skipped:
        verdict = "CI=true: the session FAILS" if in_ci() else "in CI this would fail"
        terminalreporter.write_line(
            f"{len(skipped)} tests skipped for want of a runtime or server; {verdict}.", red=True, bold=True
        )
