import time
from datetime import UTC, datetime

import pytest

from dolmen.support.clock import monotonic, now


def test_source_date_epoch_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert now() == datetime(1970, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize("value", ["", "-1", "x", "1.5", "9" * 30, "٣"])
def test_what_is_no_time_is_ignored(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)
    assert abs(now().timestamp() - time.time()) < 60
    assert now().microsecond == 0


def test_durations_do_not_run_backwards() -> None:
    first = monotonic()
    assert monotonic() >= first
