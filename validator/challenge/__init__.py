"""The challenge: its rules, its songs and listeners, and the files that it expects."""
