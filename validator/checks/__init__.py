"""The checks: pure functions from contents to findings, one file per question."""
