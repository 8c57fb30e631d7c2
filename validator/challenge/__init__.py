"""The challenge: its rules, songs, listeners, and the files that a submission must hold."""
