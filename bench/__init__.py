"""Measurements of Countersign against bare hand-written code: `python -m bench`. See README.md here."""
