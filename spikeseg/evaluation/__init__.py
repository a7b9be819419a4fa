"""Detectors side by side, held against labels."""
