"""Attacks that anyone can run again: small ones in the suite, big ones by `python -m tests.attack`."""
