"""Built-in configurations, found by name: demo, config, files, igarss2023, kheradpisheh2018."""
