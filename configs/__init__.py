"""Built-in configurations, found by name: demo, config, ebssa, files, igarss2023, kheradpisheh2018 and kheradpisheh2018_*."""
