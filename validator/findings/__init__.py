"""What a finding is, and every code with its reason and its fix."""
