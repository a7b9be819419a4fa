"""The one door to zarr: what is cached, how it lies on disk."""
