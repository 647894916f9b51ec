"""Mistakes in what programs may see and change of apps, rules and access."""

from tests.mutants.change import Change, Mutant

MUTANTS = [
    Mutant(
        "an-app-that-everybody-sees",
        "A program reads any app: also one that its person does not find in the catalog, have or own.",
        "tests/api/test_apps.py::test_an_app_is_for_those_who_find_it_have_it_or_own_it",
        [Change("webapp/web/access.py::app_to_see", "sees_all=reader.is_admin", "sees_all=True")],
    ),
    Mutant(
        "an-address-for-everybody",
        "The catalog tells where an app opens to people who do not have it.",
        "tests/api/test_apps.py::test_the_catalog_says_what_each_app_is_to_the_person",
        [Change("webapp/api/apps.py::_answer", 'row.launch_url if row.manages or row.grant is not None else ""',
                "row.launch_url")],
    ),
    Mutant(
        "an-owner-who-chooses-the-owner",
        "An owner of an app who is no admin hands it over to somebody else by the API.",
        "tests/api/test_apps.py::test_a_change_is_refused_as_on_the_screen",
        [Change("webapp/api/apps.py::_change", "if not caller.is_admin:", "if False:")],
    ),
    Mutant(
        "archived-without-an-answer",
        "A program archives an app, or turns approval off, and nobody said what becomes of pending requests.",
        "tests/api/test_apps.py tests/api/test_policies.py",
        [Change("webapp/api/_pending.py::require_answer", "if waiting and given is None:", "if False:")],
    ),
    Mutant(
        "requests-that-nobody-looked-at",
        "A program that cancels the pending requests also cancels those that came since it read them.",
        "tests/api/test_apps.py::test_who_archives_says_what_becomes_of_pending_requests",
        [Change("webapp/api/_pending.py::resolve", "seen=seen", "seen=None")],
    ),
    Mutant(
        "an-app-without-an-approver",
        "A program takes the last step out of the rules of an app in the catalog: each request of it is refused.",
        "tests/api/test_policies.py::test_a_policy_is_refused_with_the_place_of_each_mistake",
        [Change("webapp/operations/policies.py::replace_policy",
                "if app.requestable and approval_required and not steps:", "if False:")],
    ),
    Mutant(
        "steps-that-lose-their-ids",
        "Each step that a program sends without an id gets a new one, though its approver has a step already.",
        "tests/api/test_policies.py::test_a_step_without_an_id_is_that_of_its_approver",
        [Change("webapp/operations/policies.py::_identified", 'free.pop(step.approver, "") or public_id()',
                "public_id()")],
    ),
    Mutant(
        "access-of-others",
        "A program lists and reads everybody's access to every app.",
        "tests/api/test_grants.py",
        [Change("webapp/queries/grant_feed.py::_with_right", ".where(or_(Grant.person_id == reader, manages))", "")],
    ),
    Mutant(
        "fields-that-are-hidden-from-their-person",
        "People read fields of their own access that requesters must not see.",
        "tests/api/test_grants.py::test_an_owner_gives_an_app_as_on_its_page",
        [Change("webapp/api/grants.py::_values", "if not row.manages:", "if False:")],
    ),
    Mutant(
        "access-given-by-anybody",
        "A program of any person gives any app to anybody else.",
        "tests/api/test_grants.py::test_an_owner_gives_an_app_as_on_its_page",
        [Change("webapp/web/access.py::app_to_manage",
                "if not actor.is_admin and (actor.id is None or not ownership.owns(public_id, actor.id)):",
                "if False:")],
    ),
]  # fmt: skip
