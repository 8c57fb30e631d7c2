"""The report as data, as text and as JSON."""
