"""The ledger of scores and the ranking made of it."""
