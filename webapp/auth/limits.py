"""Limits of sign-in attempts and of emailed password links.

A browser that the person has signed in with before has its own count, so that attempts of others cannot lock the person
out. All other attempts are counted by IP address (for this account and for all) and by account.
"""

from webapp.addresses import same
from webapp.extensions import network
from webapp.web.attempts import Count
from webapp.web.devices import Device

MINUTE, HOUR = 60, 3600
OR_RESET = "If you do not know your password, reset it with a link by email."


def of_device(device: Device) -> tuple[Count, ...]:
    return (Count("sign-in-device", device.nonce, ((10, 15 * MINUTE),)),)


def of_stranger(email: str) -> tuple[Count, ...]:
    """Wrong ones only, with what is right given back: a company may sign in from one address in the morning. One
    address alone cannot use up what the account has."""
    email = same(email)
    return (
        Count("sign-in-pair", f"{network()} {email}", ((10, 15 * MINUTE), (20, HOUR))),
        Count("sign-in-address", network(), ((20, MINUTE), (100, HOUR))),
        Count("sign-in-account", email, ((50, HOUR),)),
    )


def of_factor(email: str, device: Device | None) -> tuple[Count, ...]:
    """Wrong second factors: by browser if the person has signed in there before, else by account and by address. Who
    has found out a password tries few codes, and cannot lock the person out of their own browser."""
    if device is not None:
        return (Count("factor-device", device.nonce, ((10, 15 * MINUTE), (30, 24 * HOUR))),)
    return (
        Count("factor-account", same(email), ((10, 15 * MINUTE), (30, 24 * HOUR))),
        Count("factor-address", network(), ((20, MINUTE), (100, HOUR))),
    )


def any_from_here() -> Count:
    """Right ones, too: each costs a moment of argon2."""
    return Count("sign-in-any", network(), ((60, MINUTE),))


def links_from_here() -> Count:
    return Count("links-address", network(), ((30, HOUR),))


def links_for(email: str) -> Count:
    return Count("links-account", same(email), ((3, HOUR),))
