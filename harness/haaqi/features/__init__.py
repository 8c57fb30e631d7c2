"""The features that HAAQI compares: smoothed envelopes, fine structure, long-term spectrum."""
