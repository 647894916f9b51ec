"""gunicorn's settings; the garbage collector leaves the application alone."""

import gc

from gunicorn.config import Config

from webapp.embedded import web


def test_the_settings_are_gunicorns():
    settings = Config().settings
    ours = ("bind", "worker_class", "workers", "threads", "logger_class", "accesslog", "loglevel", "post_fork")
    ours += ("graceful_timeout", "timeout", "worker_tmp_dir", "control_socket_disable", "on_starting", "on_reload")
    for name in ours:
        if getattr(web, name) is not None:
            settings[name].set(getattr(web, name))


def test_the_garbage_collector_leaves_the_loaded_application_alone():
    before = gc.get_threshold()
    try:
        web.tune_garbage_collection()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[0] > before[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
