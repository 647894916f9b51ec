"""Mistakes in what other systems are told, in which order, and where calls may go."""

from tests.mutants.change import Change, Mutant

_SENDING = "tests/webhooks/test_sending.py"

MUTANTS = [
    Mutant(
        "a-delivery-overtakes-an-earlier-one",
        "An event is sent although an earlier one of the same person and app was not taken yet.",
        f"{_SENDING}::test_what_one_person_has_to_do_with_one_app_stays_in_order",
        [
            Change(
                "webapp/delivery/out/deliveries.py::claim",
                "Delivery.endpoint_id == endpoint, ~_WAITS, _TAKES",
                "Delivery.endpoint_id == endpoint, _TAKES",
            ),
        ],
    ),
    Mutant(
        "410-does-not-pause",
        "A receiver that says that it is gone for good is called again and again.",
        f"{_SENDING}::test_410_pauses_at_once_and_the_admins_are_told",
        [Change("webapp/delivery/out_jobs.py::_failed", "one.endpoint.is_chat else outcome.status == 410",
                "one.endpoint.is_chat else outcome.status == 499")],
    ),
    Mutant(
        "a-redirect-is-a-success",
        "An answer of 3xx counts as taken, so that the event is lost.",
        f"{_SENDING}::test_only_2xx_is_success",
        [Change("webapp/delivery/out/deliveries.py::Outcome.succeeded", "self.status < 300", "self.status < 400")],
    ),
    Mutant(
        "a-paused-endpoint-is-sent-to",
        "What is due goes out although its endpoint is paused.",
        f"{_SENDING} tests/webhooks/test_events.py",
        [
            Change(
                "webapp/delivery/out/deliveries.py::ready_endpoints",
                "_READY, ~_WAITS, Endpoint.paused_at.is_(None), Endpoint.removed_at.is_(None)",
                "_READY, ~_WAITS, Endpoint.removed_at.is_(None)",
            ),
            Change(
                "webapp/delivery/out/deliveries.py::_TAKES",
                "Endpoint.id == Delivery.endpoint_id, Endpoint.paused_at.is_(None), Endpoint.removed_at.is_(None)",
                "Endpoint.id == Delivery.endpoint_id, Endpoint.removed_at.is_(None)",
            ),
            Change("webapp/queries/sending.py::status", "row.paused_at is not None", "False"),
        ],
    ),
    Mutant(
        "the-wait-that-a-receiver-asks-for-is-ignored",
        "The next attempt comes when we like, whatever Retry-After says.",
        f"{_SENDING}::test_a_receiver_may_ask_for_a_longer_wait",
        [Change("webapp/delivery/out_jobs.py::_retry_after", "return int(given)", "return 0")],
    ),
    Mutant(
        "only-the-new-secret-signs",
        "While a secret is replaced, receivers that still have the old one refuse everything.",
        f"{_SENDING}::test_both_secrets_sign_until_the_old_one_ends",
        [Change("webapp/delivery/out/signing.py::headers", '" ".join(made)', "made[0]")],
    ),
    Mutant(
        "texts-leave-without-being-asked-for",
        "What people wrote goes to every webhook.",
        "tests/webhooks/test_events.py::test_texts_only_where_the_endpoint_gets_them",
        [Change("webapp/delivery/out/bodies.py::webhook", "_Texts(with_texts)", "_Texts(True)")],
    ),
    Mutant(
        "one-public-address-is-enough",
        "A name with a public and a private address is called.",
        "tests/outgoing/test_outgoing.py::test_addresses_that_are_not_on_the_internet",
        [
            Change(
                "webapp/outgoing.py::_Backend.connect_tcp",
                "any(self._allowed.refuses(one, port, plain=self._plain) for one in addresses)",
                "all(self._allowed.refuses(one, port, plain=self._plain) for one in addresses)",
            ),
        ],
    ),
    Mutant(
        "an-ipv4-within-an-ipv6-is-not-looked-at",
        "An IPv6 address that holds a private IPv4 address is taken for one on the internet.",
        "tests/outgoing/test_outgoing.py",
        [
            Change(
                "webapp/networks.py::_packet_goes_to",
                "isinstance(address, IPv6Address) and any(address in one for one in _HOLD_IPV4)",
                "False",
            ),
        ],
    ),
    Mutant(
        "redirects-are-followed",
        "A receiver can lead us to any address by a redirect.",
        "tests/outgoing/test_outgoing.py::test_a_redirect_is_not_followed",
        [Change("webapp/outgoing.py::_call", "trust_env=False, timeout=seconds",
                "trust_env=False, timeout=seconds, follow_redirects=True")],
    ),
    Mutant(
        "the-deadline-begins-anew-with-each-byte",
        "An answer that comes byte by byte holds a worker for ever.",
        "tests/outgoing/test_outgoing.py::test_an_answer_byte_by_byte_ends_at_the_deadline",
        [Change("webapp/outgoing.py::_Stream._left", "self._deadline - time.monotonic()", "1.0")],
    ),
    Mutant(
        "a-chat-message-comes-late",
        "A channel is told of a step that was decided meanwhile, or that its person may no longer see.",
        "tests/webhooks/test_chat.py::test_what_is_no_longer_true_is_not_sent",
        [Change("webapp/queries/sending.py::status", '_why_obsolete(row) if row.kind != "webhook" else ""', '""')],
    ),
    Mutant(
        "deliveries-are-added-before-the-log-is-locked",
        "Two changes at the same time may be told in another order than that of the log.",
        "tests/webhooks/test_events.py::test_they_are_added_while_the_log_is_locked",
        [
            Change(
                "webapp/delivery/outbox.py::commit",
                "sealed = audit.seal(drafts)\n",
                "sealed = audit.Sealed(1, True)\n",
            ),
            Change(
                "webapp/delivery/outbox.py::commit",
                "channels[Channel.WEBHOOK] = None\n",
                "channels[Channel.WEBHOOK] = None\naudit.seal(drafts)\n",
            ),
        ],
    ),
]  # fmt: skip
