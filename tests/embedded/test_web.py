"""The access log and the error log never hold a link's token; the garbage collector leaves the application alone."""

import datetime
import gc
import logging

import pytest
from gunicorn.config import Config

from webapp.embedded import web


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("GET /decide/abc.def-1 HTTP/1.1", "GET /decide/... HTTP/1.1"),
        ("/decide/abc/code", "/decide/.../code"),
        ("/password/abc?x=1", "/password/...?x=1"),
        ("Error handling request /decide/abc", "Error handling request /decide/..."),
        ("/apps/decide", "/apps/decide"),
    ],
)
def test_tokens_are_masked(said, written):
    assert web.mask(said) == written


def test_the_access_log_has_no_token_and_no_query(capfd):
    config = Config()
    config.set("accesslog", "-")
    logger = web.MaskingLogger(config)
    environ = {
        "REQUEST_METHOD": "GET",
        "RAW_URI": "/%64ecide/secret?next=hidden",
        "PATH_INFO": "/decide/secret",
        "QUERY_STRING": "next=hidden",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_REFERER": "http://127.0.0.1:8000/password/secret?x=hidden",
    }

    class Answer:
        status = "200 OK"
        sent = 10
        headers = ()

    class Asked:
        headers = (("REFERER", environ["HTTP_REFERER"]),)

    logger.access(Answer(), Asked(), environ, datetime.timedelta(seconds=1))
    logger.error("Error handling request %s", "/decide/secret")
    written = "".join(capfd.readouterr())
    assert '"GET /decide/... HTTP/1.1" 200' in written
    assert "Error handling request /decide/..." in written
    assert "secret" not in written
    assert "hidden" not in written
    for name in ("gunicorn.error", "gunicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).filters.clear()


def test_the_settings_are_gunicorns():
    settings = Config().settings
    ours = ("bind", "worker_class", "workers", "threads", "logger_class", "accesslog", "loglevel", "post_fork")
    ours += ("graceful_timeout", "timeout", "keepalive", "worker_tmp_dir", "control_socket_disable")
    for name in ours:
        if getattr(web, name) is not None:
            settings[name].set(getattr(web, name))


def test_the_garbage_collector_leaves_the_loaded_application_alone():
    before = gc.get_threshold()
    try:
        web.post_worker_init(None)
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[0] > before[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
