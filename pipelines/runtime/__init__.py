"""What every stage runs on: keys, locks, manifests, files, processes, the screen."""
