"""Networks for other programs: NIR, safetensors, npz, Norse; and whether they fit a chip. docs/export.md says what is carried."""
