"""Activity filters, objects and tracking: arrays in, arrays out."""
