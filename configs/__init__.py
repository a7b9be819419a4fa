"""Built-in configurations, found by name: demo, config, ebssa, files, igarss2023, kheradpisheh2018, kheradpisheh2018_* and
masquelier2007_eth80."""
