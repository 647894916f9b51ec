"""What a mail server's answer means: what is at fault, and so whether the email is tried again. Pure.

The tables are made from the answers of Postfix, Exim, Exchange and Microsoft 365, Gmail, Amazon SES, SendGrid and
Mailgun. An answer that could mean two things is read so that no email is lost.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from webapp.models.notices import Cause


class Stage(StrEnum):
    """Where in the conversation the server answered."""

    CONNECT = "connect"
    ENCRYPT = "encrypt"
    SIGN_IN = "sign-in"
    MAIL = "mail"  # it was told the sender
    RCPT = "rcpt"  # it was told the recipient
    DATA = "data"  # it got the email


class Fault(StrEnum):
    """What the answer is about."""

    RECIPIENT = "recipient"  # this recipient does not exist: trying again is of no use
    MAIL = "mail"  # this email or this recipient, now: tried again, at longer and longer intervals
    INSTALLATION = "installation"  # any email would get this answer: all wait until it is mended


@dataclass(frozen=True, slots=True)
class Answer:
    """`cause` is None unless the fault is the installation's."""

    fault: Fault
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """An answer that fits any of these: reply codes, enhanced codes without their class (RFC 3463), words."""

    cause: Cause | None
    codes: frozenset[int] = frozenset()
    enhanced: frozenset[str] = frozenset()
    words: re.Pattern[str] | None = None


def classify(stage: Stage, code: int, text: str) -> Answer:
    """The answer `code` `text` (without the code; several lines are one) at that stage."""
    words = " ".join(text.split()).lower()
    enhanced = _enhanced(words)
    if stage is Stage.MAIL:
        # One sender for all emails, so only the size that was announced can be about this one.
        if enhanced == "3.4" or _TOO_LARGE.search(words):
            return Answer(Fault.MAIL)
        return Answer(Fault.INSTALLATION, _cause(code, enhanced, words) or _otherwise(code, Cause.SENDER))
    if stage in (Stage.CONNECT, Stage.ENCRYPT, Stage.SIGN_IN):
        usual = {Stage.ENCRYPT: Cause.ENCRYPTION, Stage.SIGN_IN: Cause.SIGN_IN}.get(stage, Cause.POLICY)
        return Answer(Fault.INSTALLATION, usual if stage is Stage.SIGN_IN else _otherwise(code, usual))
    # A limit of what we may send has the code of a mailbox that is full in some products.
    if enhanced == "4.5":
        return Answer(Fault.INSTALLATION, Cause.LIMIT)
    if _fits(_THIS_MAIL, code, enhanced, words):
        return Answer(Fault.MAIL)
    if 500 <= code < 600 and enhanced in _NO_SUCH and not _fits(_SENDER, 0, "", words):
        return Answer(Fault.RECIPIENT)
    if cause := _cause(code, enhanced, words):
        return Answer(Fault.INSTALLATION, cause)
    if 500 <= code < 600 and enhanced in _MAY_BE_NO_SUCH and _NO_SUCH_WORDS.search(words):
        return Answer(Fault.RECIPIENT)
    if 500 <= code < 600 and enhanced.startswith("7."):
        return Answer(Fault.INSTALLATION, Cause.POLICY)
    return Answer(Fault.MAIL)


def _otherwise(code: int, cause: Cause) -> Cause:
    return Cause.BUSY if 400 <= code < 500 else cause


def _cause(code: int, enhanced: str, words: str) -> Cause | None:
    return next((rule.cause for rule in _RULES if _fits(rule, code, enhanced, words)), None)


def _fits(rule: Rule, code: int, enhanced: str, words: str) -> bool:
    return code in rule.codes or enhanced in rule.enhanced or bool(rule.words and rule.words.search(words))


def _enhanced(words: str) -> str:
    """ "1.1" of "5.1.1 no such user", "" when there is none; an address like 5.1.1.9 is none."""
    found = re.search(r"(?<![\d.])[245]\.(\d{1,3}\.\d{1,3})(?![\d]|\.\d)", words)
    return found[1] if found else ""


def _words(*some: str) -> re.Pattern[str]:
    return re.compile("|".join(some))


_TOO_LARGE = _words(r"too (large|big)", r"exceeds? .{0,40}\bsize\b", r"size .{0,30}exceed", r"message size")

# About this recipient's mailbox or this email's content, though the code may say more.
_THIS_MAIL = Rule(
    None,
    # "Exceeded storage allocation" (RFC 5321): the mailbox is full, or the email is too large for it.
    codes=frozenset({552}),
    enhanced=frozenset(
        {"2.0", "2.1", "2.2", "2.3", "2.4", "3.4", "6.0", "6.1", "6.2", "6.3", "6.5", "6.6"}
        # Exchange: this recipient takes emails from some people only.
        | {"7.121", "7.124", "7.129", "7.133", "7.134", "7.135", "7.136", "7.193"}
    ),
    words=_words(
        r"mailbox (is |has been )?(full|over|disabled|busy|locked|inactive)", r"mailbox .{0,30}(quota|storage|limit)",
        r"over ?quota", r"resolver\.rst", r"not ?authori[sz]ed ?(for ?(group|recipient)|to send to)",
        r"(user|recipient|group|mailbox|list) .{0,40}(only accepts?|does not accept|is restricted|is not accepting)",
        r"recipient address rejected: (unverified|greylist)", r"gr[ea]y-?list", r"address verification in progress",
        r"\b(virus|malware|phishing|attachment)", r"(like|as|be|contains?|classified|probable) (un|\w+ )?spam\b",
        r"(spam|junk) (message|mail|content|score)", r"(message|mail)? ?content .{0,20}(reject|block|refus|denied)",
        _TOO_LARGE.pattern,
    ),
)  # fmt: skip

# This mailbox, its domain, or what the address says does not exist. 5.4.1 is here with its words only.
_NO_SUCH = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10"})
_MAY_BE_NO_SUCH = frozenset({"", "0.0", "1.0", "4.1", "5.0", "7.1"})
_NO_SUCH_WORDS = _words(
    r"\b(user|recipient|mailbox|address|account)( is| was)? (unknown|not found|does ?n[o']t exist)",
    r"\b(user|recipient|mailbox|address|account)\b.{0,80}\b(does not exist|doesn't exist|could not be found)",
    r"\b(user|recipient|mailbox|account|address)\b.{0,80}\b(is|was) (unknown|not found|invalid)\b",
    r"(unknown|no such|nonexistent|non-existent|invalid) (local )?(user|recipient|mailbox|account|address|person)",
    r"no (mailbox|user|one|person|account) (here )?(by|with|of) that name",
    r"not a (valid|known) (mailbox|user|recipient)",
    r"recipient ?not ?found", r"user .{0,60}not (found|known)", r"recipient address rejected: access denied",
    r"does(n't| not) have an? \S+ account", r"no mailbox here", r"not our customer",
)  # fmt: skip

_SENDER = Rule(
    Cause.SENDER,
    enhanced=frozenset({"1.7", "1.8", "2.252", "7.60", "7.27", "7.509", "7.750"}),
    words=_words(
        r"send ?as ?denied", r"sender( address| domain| email)?( was| is| has been)? "
        r"(reject|refus|denied|not allowed|not permitted|invalid|not verified|unverified|not accept|unknown|blocked)",
        r"sender (address )?rejected", r"sender verif", r"verification failed for", r"verified sender",
        r"not (allowed|permitted|authori[sz]ed) to (send|use this sender)", r"permissions? to send",
        r"(domain of|for) (the )?sender", r"sender domain", r"from address (does not|is not|must)", r"invalid from",
        r"address(es)? (is|are) not verified", r"identit(y|ies) failed", r"\bnot verified\b", r"not owned by user",
        r"sandbox", r"domain \S+ is (not allowed|disabled|not verified)",
    ),
)  # fmt: skip

_RULES = (
    Rule(
        Cause.ENCRYPTION,
        codes=frozenset({523, 538}),
        enhanced=frozenset({"7.10", "7.11"}),
        words=_words(r"starttls", r"\b(tls|ssl|encryption|encrypted)\b.{0,30}(required|must|needed|first)"),
    ),
    _SENDER,
    Rule(
        Cause.SIGN_IN,
        codes=frozenset({530, 534, 535}),
        enhanced=frozenset({"7.3", "7.8", "7.9", "7.14", "7.57", "7.139"}),
        words=_words(
            r"\bauth(entication)?( is)? (required|first|failed|unsuccessful|credentials)", r"not authenticated",
            r"(must|please|need to) (first )?(authenticate|log ?in|sign ?in)", r"credentials", r"log ?in first",
            r"client was not authenticated",
        ),
    ),
    Rule(
        Cause.RELAY,
        enhanced=frozenset({"7.54", "7.64"}),
        words=_words(
            r"relay(ing)?( access| mail)?( is| was)? (denied|not permitted|not allowed|prohibited|refused|rejected)",
            r"(unable|not permitted|not allowed|refus\w+|cannot|may not|won't|will not|do not|don't) (to )?relay",
            r"rcpthosts", r"relay(ing)? (denied|prohibited)", r"no relay", r"not (an )?open relay",
        ),
    ),
    Rule(
        Cause.LIMIT,
        enhanced=frozenset({"7.28", "7.232", "7.233"}),
        words=_words(
            r"quota", r"rate.?limit", r"limit .{0,30}exceed", r"exceed\w* .{0,60}(limit|rate|credits)", r"throttl",
            r"too many (messages|e-?mails|mails|connections|concurrent|recipients)", r"credits exceeded",
            r"(sending|message|hourly|daily) (rate|limit)", r"maximum .{0,30}(exceeded|reached)",
        ),
    ),
    Rule(
        Cause.POLICY,
        enhanced=frozenset({"7.25", "7.26", "7.501", "7.502", "7.503", "7.606", "7.705", "7.708"}),
        words=_words(
            r"spamhaus", r"black-?list", r"block-?list", r"blocked using", r"listed (in|at|by|on)\b", r"reputation",
            r"your (account|domain|ip|server|host).{0,40}(disabled|suspended|banned|blocked|restricted)",
            r"\b(spf|dkim|dmarc)\b", r"(reverse dns|ptr record)",
        ),
    ),
    Rule(
        Cause.BUSY,
        codes=frozenset({421, 500, 502, 503}),
        enhanced=frozenset({"3.0", "3.1", "3.2", "3.3", "3.5"}),
        words=_words(r"service (not available|unavailable|shutting)", r"closing (transmission|connection)"),
    ),
)  # fmt: skip
