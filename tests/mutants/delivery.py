"""Mistakes in what is mailed, to whom, and how often."""

from tests.mutants.change import Change, Mutant

MUTANTS = [
    Mutant(
        "the-worker-is-told-before-the-commit",
        "The worker is told of a mail before the change that causes it is committed.",
        "tests/test_audit.py::test_what_was_rolled_back_is_not_told_mailed_and_wakes_no_worker",
        [Change("webapp/delivery/outbox.py::post", "db.session.flush()", "db.session.flush()\nwake_workers()")],
    ),
    Mutant(
        "a-cancelled-request-still-mails",
        "The mail that asks for a decision goes out although there is nothing left to decide.",
        "tests/mail/test_obsolete.py::test_nobody_is_asked_what_was_cancelled",
        [
            Change(
                "webapp/notices.py::_why_invitation_obsolete",
                "if status.state in _CLOSED:\n"
                "    return _CLOSED[status.state]\n"
                "if status.step != StepState.OPEN:\n"
                "    return _STEP_DECIDED\n"
                "if status.overdue:\n"
                "    return _CLOSED[RequestState.EXPIRED.value]\n"
                "if not status.live:\n"
                '    return "This person is no longer an approver."\n',
                "",
            ),
        ],
    ),
    Mutant(
        "a-mark-without-the-lease",
        "A worker that comes late marks a mail that another worker holds by now.",
        "tests/mail/test_sending.py",
        [
            Change(
                "webapp/delivery/lease.py::is_ours",
                "table.id.in_(pad_in_list(one.id for one in claims)), "
                'table.state == "leased", table.lease == claims[0].lease, table.lease_until > db_now()',
                "table.id.in_(pad_in_list(one.id for one in claims))",
            ),
        ],
    ),
    Mutant(
        "a-mail-sent-without-the-lease",
        "Before it sends, a worker does not check whether the mail is still its own.",
        "tests/mail/test_sending.py::test_a_lost_lease_is_not_sent",
        [
            Change(
                "webapp/queries/notice_status.py::_LEASED_STATUS",
                'Notice.state == "leased", Notice.lease == bindparam("lease", type_=String), '
                "Notice.lease_until > db_now()",
                'bindparam("lease", type_=String) != ""',
            ),
        ],
    ),
    Mutant(
        "a-retry-with-a-new-message-id",
        "Each attempt of a mail has a Message-ID of its own, so that a second copy is not recognised as one.",
        "tests/mail/test_sending.py::test_a_retry_is_the_same_but_for_its_date",
        [
            Change(
                "webapp/delivery/mail/mime.py::Mail.__init__",
                "message_id(notice.public_id)",
                'message_id(f"{notice.public_id}.{notice.tries}")',
            ),
        ],
    ),
    Mutant(
        "a-fault-of-the-mail-server-uses-up-attempts",
        "While the mail server refuses everything, each mail that waits uses up its attempts.",
        "tests/mail/test_stops.py",
        [
            Change(
                "webapp/delivery/lease.py::give_back",
                "lease_until=None, tries=table.tries - 1, **values",
                "lease_until=None, **values",
            ),
        ],
    ),
    Mutant(
        "a-refused-sender-fails-the-mail",
        "An answer about the sender, which any mail would get, is taken for one about the recipient.",
        "tests/mail/test_answers.py",
        [
            Change(
                "webapp/delivery/mail/answers.py::classify",
                'enhanced in _NO_SUCH and not _fits(_SENDER, 0, "", words)',
                "enhanced in _NO_SUCH",
            ),
        ],
    ),
    Mutant(
        "a-mail-that-does-not-escape",
        "What somebody writes becomes HTML in the mails.",
        "tests/mail/test_hostile.py::test_no_text_becomes_a_header_or_a_tag",
        [Change("templates/email/_parts.html", "{{ line }}", "{{ line|safe }}")],
    ),
    Mutant(
        "a-comment-reaches-a-former-member",
        "A person who left the group still gets the comments on its requests by mail.",
        "tests/operations/test_decide.py::test_whoever_left_the_group_reads_no_comment_any_more",
        [
            Change(
                "webapp/operations/comments.py::_who_answers",
                "Invitation.step_id == case.open_step.id, Invitation.live",
                "Invitation.step_id == case.open_step.id",
            ),
        ],
    ),
    Mutant(
        "an-outcome-reaches-a-former-member",
        "A person who left the group is mailed how its requests end.",
        "tests/operations/test_groups.py::test_a_former_member_gets_no_mail_about_the_outcome",
        [
            Change(
                "webapp/operations/_invitations.py::_ASKED",
                'Step.request_id.in_(bindparam("requests", expanding=True)), '
                "or_(visibility.may_still_see(Invitation, Step), "
                "visibility.manages(Invitation.app_id, Invitation.person_id))",
                'Step.request_id.in_(bindparam("requests", expanding=True))',
            ),
        ],
    ),
    Mutant(
        "an-outcome-is-mailed-anywhere",
        "The outcome of a request is mailed to any address that a rule names.",
        "tests/operations/test_outcome_domains.py",
        [
            Change(
                "webapp/operations/_outcome_notices.py::outcome_notices",
                "for address in dict.fromkeys(rule.others) if address not in outside",
                "for address in dict.fromkeys(rule.others)",
            ),
        ],
    ),
    Mutant(
        "a-denial-tells-outsiders-the-comments",
        "The mail to an address outside of the company holds the comments of the approvers.",
        "tests/mail/test_results.py",
        [
            Change(
                "webapp/delivery/mail/kinds.py::request_denied",
                'if facts.notice.role != "other":\n    rows += comments',
                "rows += comments",
            ),
        ],
    ),
    Mutant(
        "an-added-app-shows-hidden-fields",
        "The mail about an added app shows its new user the fields that are hidden from them.",
        "tests/mail/test_access_contents.py",
        [
            Change(
                "webapp/delivery/mail/kinds.py::app_added",
                "facts.policy.sheet_for_requester(facts.grant.values)",
                "facts.policy.sheet_for_owner(facts.grant.values)",
            ),
        ],
    ),
    Mutant(
        "an-admin-sees-links-that-work",
        "The page of a mail shows admins the link and the code that decide in its recipient's name.",
        "tests/views/test_admin_mail.py tests/views/test_admin_mail_open.py",
        [Change("webapp/queries/logged_email.py::load", "stand_in=HIDDEN", "stand_in=None")],
    ),
]
