"""A listener who speaks to a running arena over HTTP: consent, battle, listening, vote. Standard library only."""

import http.cookiejar
import json
import time
import urllib.error
import urllib.request
import uuid


class HttpListener:
    def __init__(self, address):
        self.address = address
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def send(self, method, path, body=None, **headers):
        """(status, JSON or bytes). Raises OSError (URLError is one) where nobody answers."""
        for cookie in self.cookies:
            if cookie.name == "csrftoken":
                headers["X-CSRFToken"] = cookie.value
        data = None if body is None else json.dumps(body).encode()
        if data:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        try:
            with self.opener.open(request, timeout=20) as response:
                content, status = response.read(), response.status
        except urllib.error.HTTPError as refused:
            content, status = refused.read(), refused.code
        return status, json.loads(content) if content[:1] in (b"{", b"[") else content

    def until_answered(self, method, path, body=None, seconds=90, **headers):
        """Send again until somebody answers, as a listener's page does: a dead server and a 5xx are no answer."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                status, answer = self.send(method, path, body, **headers)
                if status < 500:
                    return status, answer
                problem = f"{status}: {answer[:200]}"
            except OSError as error:
                problem = str(error)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path}: no answer in {seconds} s; last: {problem}")
            time.sleep(0.1)

    def agree(self, study):
        self.until_answered("GET", "/")
        status, answer = self.until_answered("POST", "/api/raters/", {"study": study, "consent_version": 1})
        assert status == 201, answer
        return self

    def play_battle(self, study, preference="A", fetch_audio=False):
        """One battle from start to vote. Returns (battle, idempotency key, status, answer)."""
        status, battle = self.until_answered("POST", "/api/battles/", {"study": study})
        assert status in (200, 201), battle
        if fetch_audio:
            sizes = {len(self.until_answered("GET", battle["clips"][slot]["url"])[1]) for slot in "AB"}
            assert len(sizes) == 1, "the two excerpts differ in size"
        gate = battle["min_listen_ms"]
        time.sleep(2 * gate / 1000)
        key = str(uuid.uuid4())
        body = {
            "preference": preference,
            "heard": {"A": [[0, gate]], "B": [[0, gate]]},
            "first_played": "A",
            "switches": 1,
        }
        path = f"/api/battles/{battle['id']}/vote/"
        status, answer = self.until_answered("POST", path, body, **{"Idempotency-Key": key})
        return battle, key, status, answer
