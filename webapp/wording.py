"""Words that pages, emails and the audit log share, each in one place."""


def count(number: int, unit: str, units: str = "") -> str:
    """ "1 request", "3 requests"."""
    return f"{number:,} {unit if number == 1 else units or unit + 's'}"
