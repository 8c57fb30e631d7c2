"""Delays of the processed signal relative to the reference: of the whole signal and of each auditory channel."""
