"""The Docker engine's own words reach the user, not the client's HTTP status."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound

from harness.protocol.errors import SetupError
from harness.sandbox.docker import image
from harness.sandbox.docker.engine import reason_of


def refused(reason: Any) -> APIError:
    """What the client raises if the engine answers with status 500."""
    response: Any = SimpleNamespace(status_code=500, reason="Internal Server Error", url="http+docker://x")
    return APIError(
        "500 Server Error for http+docker://x: Internal Server Error", response, explanation=reason
    )


@pytest.mark.parametrize("reason", ["no space left on device.", b"no space left on device"])
def test_the_engines_reason_is_taken(reason: Any) -> None:
    assert reason_of(refused(reason)) == "no space left on device"
    assert reason_of(OSError("broken pipe")) == "broken pipe"


def test_a_build_that_the_engine_refuses_shows_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def pull(name: str) -> None:
        raise refused("Get https://registry/v2/: dial tcp: lookup registry: no such host")

    def get(name: str) -> None:
        raise ImageNotFound("none")

    monkeypatch.setattr(image, "fill", lambda *args, **options: [])
    client: Any = SimpleNamespace(images=SimpleNamespace(get=get, pull=pull))
    with pytest.raises(SetupError) as caught:
        image.build(client, base="base:test", log=lambda line: None)
    assert "lookup registry: no such host" in caught.value.message
    assert "500" not in caught.value.message
    assert "`cad1 image base`" in caught.value.hint
