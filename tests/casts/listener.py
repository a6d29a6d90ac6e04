"""A listener who speaks to the views through Django's test client."""

import json

from django.test import Client


class Listener:
    """A client of the HTTP contract, as anyone could write it: cookies, a CSRF token, JSON.

    address: that it comes from. headers: sent with every request, such as user_agent.
    """

    def __init__(self, address="127.0.0.1", **headers):
        self.client = Client(enforce_csrf_checks=True, REMOTE_ADDR=address, headers=headers)
        self.client.get("/")

    def post(self, path, body=None, csrf=True, **headers):
        return self._send(self.client.post, path, body, csrf, headers)

    def delete(self, path, csrf=True, **headers):
        return self._send(self.client.delete, path, None, csrf, headers)

    def get(self, path, **params):
        return self.client.get(path, params)

    def _send(self, method, path, body, csrf, headers):
        if csrf:
            headers["X-CSRFToken"] = self.client.cookies["csrftoken"].value
        return method(path, json.dumps(body or {}), content_type="application/json", headers=headers)

    def agree(self, **body):
        answer = self.post("/api/raters/", {"consent_version": 1, **body})
        assert answer.status_code == 201, answer.content
        return self

    def battle(self, **body):
        answer = self.post("/api/battles/", body)
        assert answer.status_code in (200, 201), answer.content
        return answer.json()

    def vote(self, battle, preference="A", key="key-1", heard=None, **more):
        body = {
            "preference": preference,
            "heard": heard or {"A": [[0, 4000]], "B": [[0, 4000]]},
            "first_played": "A",
            "switches": 1,
            **more,
        }
        return self.post(f"/api/battles/{battle['id']}/vote/", body, **{"Idempotency-Key": key})
