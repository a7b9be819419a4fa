"""``python -m spikeseg`` is the command ``spikeseg``."""

from spikeseg.pipelines.start import main

if __name__ == "__main__":
    main()
