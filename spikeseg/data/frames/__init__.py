"""Recordings as frames; their background activity, first spikes and augmentation."""
