"""The commands of `cad1`, by what they are about: each parses, calls and prints; it decides nothing."""
