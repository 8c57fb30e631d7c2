"""The command `cad1`: parses, calls, prints; decides nothing."""
