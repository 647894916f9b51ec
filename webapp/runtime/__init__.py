"""What every process needs to run and to be looked after: broker, logs, failpoints for tests."""
