"""The command `cad1`: parses arguments, calls the other packages and prints the result."""
