"""The 6-digit codes of authenticator apps (TOTP, RFC 6238): a secret for both sides, and the time."""

import hmac
from datetime import datetime

# A phone's clock may be one step ahead or behind.
STEP, SKEW = 30, 1


def new_secret() -> str:
    """160 random bits in base32, as apps take it."""
    import pyotp

    return pyotp.random_base32()


def uri(secret: str, *, account: str, issuer: str) -> str:
    """What the QR code holds."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer.replace(":", " "))


def step_of(secret: str, code: str, at: datetime) -> int | None:
    """The step whose code this is: the one of `at`, before or after. None for a wrong code."""
    import pyotp

    maker, present = pyotp.TOTP(secret), int(at.timestamp()) // STEP
    found = None
    for step in range(present - SKEW, present + SKEW + 1):  # all of them, so that timing tells nothing
        if hmac.compare_digest(maker.generate_otp(step).encode(), code.encode()):
            found = step
    return found


def picture(text: str) -> tuple[int, str]:
    """A QR code: its width with a quiet border, and the path of an SVG that draws it with lines of one module."""
    import segno

    border, path = 2, []
    matrix = segno.make(text, error="m", micro=False).matrix
    for y, line in enumerate(matrix):
        x = 0
        while x < len(line):
            length = 1
            while x + length < len(line) and line[x + length] == line[x]:
                length += 1
            if line[x]:
                path.append(f"M{x + border} {y + border}.5h{length}")
            x += length
    return len(matrix) + 2 * border, "".join(path)
