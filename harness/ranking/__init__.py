"""From stored scores to averages, ranks, tables and scores.csv."""
