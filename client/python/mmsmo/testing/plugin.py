"""What pytest finds when this package is installed."""

from __future__ import annotations

from typing import Any, Iterator

import pytest

from . import Gateway


def pytest_addoption(parser: Any) -> None:
    parser.getgroup("mmsmo").addoption(
        "--mmsmo-gateway",
        metavar="PATH",
        help="the mmsmo-gateway of the fixture; else $MMSMO_GATEWAY, else of the PATH",
    )


@pytest.fixture
def mmsmo_gateway(pytestconfig: Any) -> Iterator[Gateway]:
    """A gateway of this test's own."""
    with Gateway(pytestconfig.getoption("--mmsmo-gateway")) as gateway:
        yield gateway
