"""The database as such: its schema's version, its faults, its transactions; no rows."""
