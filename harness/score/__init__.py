"""Scores submissions: validates, runs the sandboxes, stores every example, and resumes after an interruption."""
