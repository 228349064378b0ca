"""Somebody at a browser, for tests that need none."""

import re

import httpx2


class Visitor:
    """Somebody at a browser: keeps cookies, and sends each form with its page's secret."""

    def __init__(self, web: str) -> None:
        self.http = httpx2.Client(base_url=web, timeout=30)
        self.csrf = ""

    def get(self, path: str, **given: object) -> httpx2.Response:
        answer = self.http.get(path, **given)  # type: ignore[arg-type]
        if found := re.search(r'name="csrf" value="([^"]+)"', answer.text):
            self.csrf = found[1]
        return answer

    def post(self, path: str, data: dict[str, object] | None = None) -> httpx2.Response:
        return self.http.post(path, data={"csrf": self.csrf, **(data or {})})

    def log_in(self, name: str, password: str) -> httpx2.Response:
        answer = self.http.post("/login", data={"name": name, "password": password})
        self.get("/password")
        return answer
