"""Where untrusted audio is decoded and scored: one contract, three implementations."""
