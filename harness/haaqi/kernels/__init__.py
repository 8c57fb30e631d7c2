"""Compiled building blocks: SIMD lanes, elementary functions, transforms, random numbers, signals."""
