"""Scores submissions: validates, runs the sandboxes, stores every example, and resumes after an interruption."""

from harness.sandbox.contract import Sandbox as Sandbox
