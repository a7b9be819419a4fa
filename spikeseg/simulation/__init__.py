"""Labelled recordings of the night sky, simulated."""
