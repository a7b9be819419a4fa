"""What a recording saw, on the sky: UTC, right ascension and declination, a pointing from the stars, tracking data messages."""
