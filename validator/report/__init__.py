"""The report as data, text and JSON."""
