"""An application for the tests of the server: it needs no database."""

import os
import time

# A real one takes as long to load.
time.sleep(float(os.environ.get("TINY_LOAD_SECONDS", "0")))
STATUS = {True: "413 Content Too Large", False: "200 OK"}


def app(environ, start_response):
    path, length = environ["PATH_INFO"], int(environ.get("CONTENT_LENGTH") or 0)
    body = b"x" * 400_000 if path == "/big" else f"{os.getpid()} {length}".encode()
    if path == "/slow":
        time.sleep(1)
    if path == "/read":
        body = str(len(environ["wsgi.input"].read())).encode()
    too_large = length > 1024 * 1024
    start_response(STATUS[too_large], [("Content-Length", str(len(body))), ("Content-Type", "text/plain")])
    return [body]
