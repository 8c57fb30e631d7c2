"""Scores submissions to the First Cadenza Challenge (CAD1), Task 1, and ranks the teams.

Nothing is imported here: inside the sandbox this package stands on the locked libraries alone.
"""
