"""Where untrusted audio is decoded and scored: one contract (`base`), several implementations."""
