"""In a real browser: the mail shows in its frame, runs nothing, and its links open in the whole window."""

import threading
from email.message import EmailMessage

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask_migrate import upgrade
from werkzeug.serving import make_server

from tests.helpers.chromium import close, follow_in_mail, launch
from tests.helpers.processes import free_port
from webapp import create_app
from webapp.config import Settings
from webapp.embedded import mailstore

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    port = free_port()
    data = tmp_path_factory.mktemp("mailbox")
    environment = {"COUNTERSIGN_EMBEDDED": "1", "COUNTERSIGN_DATA": str(data), "PORT": str(port)}
    app = create_app(Settings.from_env(environment))
    with app.app_context():
        upgrade()
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    base = f"http://127.0.0.1:{port}"
    for number, name in enumerate(["Ana Moreau", "Chloe Tan", "Ben Okafor"]):
        message = EmailMessage()
        message["To"], message["Subject"] = f"{name} <ana@example.com>", f"Rita asks for App {number}"
        message.set_content(f"See {base}/healthz?text")
        message.add_alternative(
            "<html lang='en'><head><title>Mail</title><style>p {font-weight: 700}</style></head><body><h1>A mail</h1>"
            f"<p style='color: #135'>Hello</p><a href='{base}/healthz?html'>Read and decide</a>"
            "<script>document.title = 'ran'; document.body.remove()</script></body></html>",
            subtype="html",
        )
        mailstore.store(data / "mailbox", sender="c@x", recipients=["ana@example.com"], content=message.as_bytes())
    yield base
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def chromium(playwright):
    browser = launch(playwright)
    yield browser
    browser.close()


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def page(chromium, request):
    context = chromium.new_context(java_script_enabled=request.param)
    yield context.new_page()
    close(context)


def test_a_mails_link_opens_in_the_whole_window(page, site):
    page.goto(f"{site}/mailbox")
    page.get_by_role("link", name="Rita asks for App 1").click()
    page.wait_for_url("**#mail")
    follow_in_mail(page, "Read and decide")
    page.wait_for_url(f"{site}/healthz?html")


def test_a_mails_script_does_not_run(chromium, site):
    page = chromium.new_page()
    page.goto(f"{site}/mailbox")
    frame = page.frame_locator("iframe")
    assert frame.get_by_text("Hello").is_visible()
    assert frame.get_by_text("Hello").evaluate("p => getComputedStyle(p).fontWeight") == "700"
    close(page.context)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", ["/mailbox", "/mailbox?q=zebra"])
def test_axe_finds_nothing(chromium, site, path, width, scheme):
    # The check itself is a script that the page's policy would refuse.
    context = chromium.new_context(bypass_csp=True, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(site + path)
    violations = Axe().run(page).response["violations"]
    assert [(violation["id"], [node["html"] for node in violation["nodes"]]) for violation in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    close(context)
