"""What is cached, and its layout on disk; nothing else uses zarr."""
