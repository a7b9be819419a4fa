"""One file per stage: what it reads, its key, what it writes."""
