"""From objects in slices of time to tracks, relative to the star field."""
