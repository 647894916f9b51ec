"""What the answers of mail servers mean, as the big ones word them."""

from __future__ import annotations

import pytest

from webapp.delivery.mail.answers import Answer, Fault, Stage, classify
from webapp.models.notices import Cause

R, M = Answer(Fault.RECIPIENT), Answer(Fault.MAIL)


def ours(cause: Cause) -> Answer:
    return Answer(Fault.INSTALLATION, cause)


AT_RECIPIENT = [
    # Nobody there: final.
    ("550 5.1.1 The email account that you tried to reach does not exist. Please try\n5.1.1 double-checking", R),
    ("550 5.1.1 <ana@x.example>: Recipient address rejected: User unknown in local recipient table", R),
    ("550 5.1.1 <a@x.example>: Recipient address rejected: User unknown in relay recipient table", R),
    ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient ana@x.example not found by SMTP address lookup", R),
    ("550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", R),
    ("550 5.1.2 <a@nowhere.example>: Recipient address rejected: Domain not found", R),
    ("550 5.1.3 The recipient address is not a valid RFC 5321 address", R),
    ("550 No such user here", R),
    ("550 no such recipient", R),
    ("553 no such user", R),
    ("554 delivery error: dd This user doesn't have a yahoo.com account (ana@yahoo.com)", R),
    ("550 sorry, no mailbox here by that name (#5.1.1)", R),
    ("550 Unknown user", R),
    ("550 Requested action not taken: mailbox does not exist", R),
    ("550 5.5.0 Requested action not taken: recipient not found", R),
    # This mailbox or this email, and only for now.
    ("552 5.2.2 Mailbox full", M),
    ("552 mailbox full", M),
    ("552 Requested mail action aborted: exceeded storage allocation", M),
    ("452 4.2.2 The email account that you tried to reach is over quota", M),
    ("550 5.2.2 <a@x.example>: mailbox quota exceeded", M),
    ("552 5.3.4 Message size exceeds fixed limit", M),
    ("550 5.2.1 The email account that you tried to reach is disabled", M),
    ("450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages", M),
    ("450 4.2.0 <a@x.example>: Recipient address rejected: Greylisted, see http://postgrey.example", M),
    ("451 4.7.1 Greylisting in action, please come back later", M),
    ("450 4.1.1 <a@x.example>: Recipient address rejected: unverified address: timed out", M),
    ("450 4.1.1 user unknown, try again", M),
    ("451 4.3.5 <x>: Recipient address rejected: try again", ours(Cause.BUSY)),
    ("550 5.7.1 RESOLVER.RST.NotAuthorized; not authorized", M),
    ("550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required", M),
    ("550 mailbox unavailable", M),
    ("550 Requested action not taken: mailbox unavailable", M),
    ("550 address rejected", M),
    ("554 5.6.0 not this one", M),
    ("554 5.7.1 looks like spam to us", M),
    ("552 5.7.0 This message was blocked because its content presents a potential security issue.", M),
    ("550 5.0.350 Remote server returned an error", M),
    # What any email would get.
    ("550 5.4.5 Daily user sending limit exceeded. For more information on Gmail sending limits", ours(Cause.LIMIT)),
    ("550 5.4.5 quota", ours(Cause.LIMIT)),
    ("454 Throttling failure: Daily message quota exceeded.", ours(Cause.LIMIT)),
    ("454 Throttling failure: Maximum sending rate exceeded.", ours(Cause.LIMIT)),
    ("451 Authentication failed: Maximum credits exceeded", ours(Cause.SIGN_IN)),
    ("421 4.7.28 Gmail has detected an unusual rate of unsolicited mail", ours(Cause.LIMIT)),
    ("554 5.2.252 SendAsDenied; apps@x.example not allowed to send as hr@x.example", ours(Cause.SENDER)),
    ("550 5.7.60 SMTP; Client does not have permissions to send as this sender", ours(Cause.SENDER)),
    ("554 Message rejected: Email address is not verified. The following identities failed the check in region "
     "EU-WEST-1: rita@x.example", ours(Cause.SENDER)),
    ("554 not verified", ours(Cause.SENDER)),
    ("550 The from address does not match a verified Sender Identity. Mail cannot be sent", ours(Cause.SENDER)),
    ("550 Verification failed for <apps@x.example>\nNo such user\nSender verify failed", ours(Cause.SENDER)),
    ("553 5.1.8 <apps@x.example>: Sender address rejected: Domain not found", ours(Cause.SENDER)),
    ("550 5.1.1 <a@x.example>: Sender address rejected: User unknown in local recipient table", ours(Cause.SENDER)),
    ("553 5.7.1 <a@x.example>: Sender address rejected: not owned by user apps", ours(Cause.SENDER)),
    ("550 relay not permitted", ours(Cause.RELAY)),
    ("554 5.7.1 <a@x.example>: Relay access denied", ours(Cause.RELAY)),
    ("550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", ours(Cause.RELAY)),
    ("550 5.7.64 TenantAttribution; Relay Access Denied", ours(Cause.RELAY)),
    ("550 5.7.0 Mail relay denied [192.0.2.1]", ours(Cause.RELAY)),
    ("550 5.7.1 relaying denied", ours(Cause.RELAY)),
    ("553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", ours(Cause.RELAY)),
    ("503 AUTH first", ours(Cause.SIGN_IN)),
    ("503 AUTH first (#5.5.1)", ours(Cause.SIGN_IN)),
    ("530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM", ours(Cause.SIGN_IN)),
    ("530 authentication required", ours(Cause.SIGN_IN)),
    ("530 5.7.0 Must issue a STARTTLS command first", ours(Cause.ENCRYPTION)),
    ("550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP", ours(Cause.POLICY)),
    ("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", ours(Cause.POLICY)),
    ("550 5.7.26 This mail has been blocked because the sender is unauthenticated. SPF", ours(Cause.POLICY)),
    ("550 5.7.1 not this way", ours(Cause.POLICY)),
    ("421 4.3.2 Service not available, closing transmission channel", ours(Cause.BUSY)),
    ("452 4.3.1 Insufficient system storage", ours(Cause.BUSY)),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "meaning"), AT_RECIPIENT)
@pytest.mark.parametrize("stage", [Stage.RCPT, Stage.DATA])
def test_what_an_answer_to_a_recipient_or_an_email_means(stage: Stage, reply: str, meaning: Answer) -> None:
    code, _, text = reply.partition(" ")
    assert classify(stage, int(code), text) == meaning


@pytest.mark.parametrize(
    ("stage", "reply", "meaning"),
    [
        (Stage.MAIL, "550 this sender may not", ours(Cause.SENDER)),
        (Stage.MAIL, "550 5.1.1 no such user", ours(Cause.SENDER)),
        (Stage.MAIL, "530 5.7.0 Authentication Required", ours(Cause.SIGN_IN)),
        (Stage.MAIL, "530 5.7.0 Must issue a STARTTLS command first", ours(Cause.ENCRYPTION)),
        (Stage.MAIL, "550 5.4.5 Daily sending quota exceeded", ours(Cause.LIMIT)),
        (Stage.MAIL, "451 4.3.0 not now", ours(Cause.BUSY)),
        (Stage.MAIL, "552 5.3.4 Message size exceeds fixed limit", M),
        (Stage.CONNECT, "554 5.7.1 you are listed", ours(Cause.POLICY)),
        (Stage.CONNECT, "421 too many connections", ours(Cause.BUSY)),
        (Stage.ENCRYPT, "454 TLS not available", ours(Cause.BUSY)),
        (Stage.ENCRYPT, "502 not implemented", ours(Cause.ENCRYPTION)),
        (Stage.SIGN_IN, "535 5.7.8 Username and Password not accepted", ours(Cause.SIGN_IN)),
        (Stage.SIGN_IN, "454 4.7.0 Temporary authentication failure", ours(Cause.SIGN_IN)),
    ],
)
def test_before_the_recipient_is_named_no_answer_is_about_one_email(stage: Stage, reply: str, meaning: Answer) -> None:
    code, _, text = reply.partition(" ")
    assert classify(stage, int(code), text) == meaning


def test_an_address_in_an_answer_is_no_enhanced_code() -> None:
    assert classify(Stage.RCPT, 550, "blocked: 5.1.1.9 and 15.1.1") == M
