"""Built-in configurations, found by name: demo, config, igarss2023, kheradpisheh2018."""
