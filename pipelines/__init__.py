"""The command line and the stages behind it; installed as ``spikeseg.pipelines``."""
