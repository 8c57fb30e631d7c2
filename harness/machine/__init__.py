"""This machine: what it can do (`cad1 doctor`), and leftovers of dead runs (`cad1 clean`)."""
