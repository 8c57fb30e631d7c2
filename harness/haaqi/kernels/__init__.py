"""Compiled building blocks: vector lanes, elementary functions, transforms, signals, resampling."""
