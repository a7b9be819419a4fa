"""``python -m spikeseg`` is the command ``spikeseg``."""

from spikeseg.pipelines.cli import main

if __name__ == "__main__":
    main(prog_name="spikeseg")
