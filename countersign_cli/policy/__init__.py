"""countersign policy: apps, their fields and their rules as YAML files, so that they can live in git."""
