"""Recordings, their readers, framing and the cache."""
