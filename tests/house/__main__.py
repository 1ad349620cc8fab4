"""``python -m tests.house``: print what breaks the rules of this house. Exit 1 when anything does."""

from __future__ import annotations

import sys

from .rules import RULES, check_tree


def main() -> int:
    """Check the tree; return the exit code."""
    findings, files = check_tree()
    for finding in findings:
        print(finding)
    errors = sum(not finding.is_warning for finding in findings)
    warnings = len(findings) - errors
    summary = f"{files} files, {len(RULES)} rules: {errors} findings, {warnings} warnings"
    print(summary if findings else f"{files} files, {len(RULES)} rules: clean")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
