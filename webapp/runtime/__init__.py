"""What every process needs to run and to be looked after: broker, logs, `countersign check`, failpoints for tests."""
