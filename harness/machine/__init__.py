"""This machine: what it can do (`cad1 doctor`) and what dead runs left on it (`cad1 clean`)."""
