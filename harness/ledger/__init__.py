"""The SQLite store: what was scored, of which bytes, by what, when."""
