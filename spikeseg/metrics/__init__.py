"""Scores of events, pixels, objects and volumes: arrays in, numbers out."""
