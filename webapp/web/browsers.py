"""A browser's name for people, from its User-Agent header."""

# In this order: most browsers also carry the names of those they descend from.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "Mac"),
    ("Linux", "Linux"),
)
_PHONES = ("iPhone", "Android", "Mobile")


def browser_name(user_agent: str) -> str:
    """ "Firefox on Linux", "Safari on iPhone", "Firefox", or "A browser"."""
    browser = next((name for sign, name in _BROWSERS if sign in user_agent), "")
    system = next((name for sign, name in _SYSTEMS if sign in user_agent), "")
    return f"{browser or 'A browser'} on {system}" if system else browser or "A browser"


def is_phone(user_agent: str) -> bool:
    """Whether it is a phone's."""
    return any(sign in user_agent for sign in _PHONES)
