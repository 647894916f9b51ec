"""A small OpenID provider that is strict about PKCE, clients and codes, and that can be told to misbehave.

It listens on loopback in a thread. Whoever visits its authorization address is signed in as `claims` at once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

CLIENT, SECRET = "countersign", "a secret: with % and /"
PROVIDER_KEY = RSAKey.generate_key(2048, {"kid": "first"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "second"})
EC_KEY = ECKey.generate_key("P-256", {"kid": "curve"})


class StrictProvider:
    """`claims`: who signs in. `twist`: changes the claims of the next tokens. `answer`: changes the callback's query.
    `keys`: those that it shows, `key` the one that it signs with, by `algorithm`."""

    def __init__(self) -> None:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._get(self)

            def do_POST(self) -> None:
                provider._post(self)

            def log_message(self, *args: object) -> None:
                """Write no line for each request."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.reset()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def reset(self) -> None:
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.twist: Callable[[dict[str, Any]], Any] = lambda claims: None
        self.answer: Callable[[dict[str, str]], Any] = lambda query: None
        self.encode: Callable[[dict[str, Any]], str] | None = None
        self.keys: list[Any] = [PROVIDER_KEY, EC_KEY]
        self.key: Any = PROVIDER_KEY
        self.algorithm = "RS256"
        self.document: dict[str, Any] = {}
        self.down = ""  # a path that answers 500
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []  # the paths of all calls
        self.auth_time: float | None = None

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # ----- what it answers -----

    def _get(self, call: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(call.path)
        self.asked.append(parts.path)
        if self.down and parts.path == self.down:
            return _send(call, 500, {})
        if parts.path == "/.well-known/openid-configuration":
            return _send(call, 200, self._metadata())
        if parts.path == "/keys":
            return _send(call, 200, {"keys": [key.as_dict(private=False) for key in self.keys]})
        if parts.path == "/userinfo":
            return _send(call, 200, {"sub": self.claims.get("sub"), **self.userinfo})
        if parts.path == "/authorize":
            location = self.authorize(call.path)
            call.send_response(302)
            call.send_header("location", location)
            call.send_header("content-length", "0")
            return call.end_headers()
        return _send(call, 404, {})

    def _metadata(self) -> dict[str, Any]:
        at = self.issuer
        return {
            "issuer": at, "authorization_endpoint": f"{at}/authorize?tenant=1", "token_endpoint": f"{at}/token",
            "jwks_uri": f"{at}/keys", "userinfo_endpoint": f"{at}/userinfo", "end_session_endpoint": f"{at}/end",
            "id_token_signing_alg_values_supported": ["none", "HS256", "RS256"],
            "authorization_response_iss_parameter_supported": True, **self.document,
        }  # fmt: skip

    def authorize(self, address: str) -> str:
        """The address that the browser is sent back to."""
        query = dict(parse_qsl(urlsplit(address).query))
        assert query["response_type"] == "code" and query["client_id"] == CLIENT and "openid" in query["scope"].split()
        assert query["code_challenge_method"] == "S256" and len(query["code_challenge"]) == 43
        assert len(query["state"]) > 20 and len(query["nonce"]) > 20
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        back = {"code": code, "state": query["state"], "iss": self.issuer}
        self.answer(back)
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def _post(self, call: BaseHTTPRequestHandler) -> None:
        body = dict(parse_qsl(call.rfile.read(int(call.headers["content-length"])).decode()))
        path = urlsplit(call.path).path
        self.asked.append(path)
        if path != "/token" or self.down == path:
            return _send(call, 500, {})
        if call.headers.get("authorization") != f"Basic {_basic()}":
            return _send(call, 401, {"error": "invalid_client"})
        asked = self.codes.pop(body.get("code", ""), None)
        if asked is None or asked["redirect_uri"] != body.get("redirect_uri"):
            return _send(call, 400, {"error": "invalid_grant"})
        verifier = body.get("code_verifier", "")
        digest = hashlib.sha256(verifier.encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]:
            return _send(call, 400, {"error": "invalid_grant"})
        access_token = secrets.token_urlsafe(16)
        return _send(call, 200, {"access_token": access_token, "token_type": "Bearer",
                                 "id_token": self.id_token(asked["nonce"], access_token)})  # fmt: skip

    def id_token(self, nonce: str, access_token: str = "") -> str:
        at = time.time()
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        claims = {
            "iss": self.issuer, "aud": CLIENT, "iat": int(at), "exp": int(at) + 300, "nonce": nonce,
            "at_hash": base64.urlsafe_b64encode(half).decode().rstrip("="), **self.claims,
        }  # fmt: skip
        if self.auth_time is not None:
            claims["auth_time"] = int(self.auth_time)
        self.twist(claims)
        return self.encode(claims) if self.encode else self.sign(claims)

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        head = {"alg": self.algorithm, "kid": self.key.kid, **header}
        return jws.serialize_compact(head, json.dumps(claims).encode(), self.key, algorithms=[head["alg"]])

    def logout_token(self, **changes: Any) -> str:
        claims: dict[str, Any] = {
            "iss": self.issuer, "aud": CLIENT, "iat": int(time.time()), "jti": secrets.token_hex(8),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}}, **changes,
        }  # fmt: skip
        return self.sign({key: value for key, value in claims.items() if value is not None})


def _basic() -> str:
    both = ":".join(quote(one, safe="") for one in (CLIENT, SECRET)).replace("%20", "+")
    assert unquote_plus(both.partition(":")[2]) == SECRET
    return base64.b64encode(both.encode()).decode()


def _send(call: BaseHTTPRequestHandler, status: int, body: Any) -> None:
    text = json.dumps(body).encode()
    call.send_response(status)
    call.send_header("content-type", "application/json")
    call.send_header("content-length", str(len(text)))
    call.end_headers()
    call.wfile.write(text)
