"""The virtual microscope: surfaces, tip, feedback loop, artefacts. numpy and scipy only; same seed, same scan."""
