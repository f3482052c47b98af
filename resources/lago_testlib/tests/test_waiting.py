import pytest

import lago_testlib
from lago_testlib import waiting


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only while one waits."""
    now = [0.0]
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def answers(*values):
    rest = list(values)

    def ask():
        value = rest.pop(0) if len(rest) > 1 else rest[0]
        if isinstance(value, Exception):
            raise value
        return value

    return ask


def test_it_looks_every_three_seconds(clock):
    lago_testlib.assert_true_within(answers(False, None, 7), 60)
    assert clock[0] == 6


def test_it_gives_up_with_what_it_saw_last(clock):
    with pytest.raises(AssertionError, match="Timed out after 60 seconds: got 'down', wanted 'up'"):
        lago_testlib.assert_equals_within(answers("down"), "up", 60)
    assert clock[0] <= 60


def test_allowed_exceptions_mean_not_yet(clock):
    lago_testlib.assert_equals_within(answers(KeyError("a"), 5), 5, 60, allowed_exceptions=[KeyError])
    with pytest.raises(AssertionError, match="the last try raised KeyError"):
        lago_testlib.assert_equals_within(answers(KeyError("a")), 5, 60, allowed_exceptions=[KeyError])
    with pytest.raises(ValueError):
        lago_testlib.assert_equals_within(answers(ValueError("b")), 5, 60, allowed_exceptions=[KeyError])


@pytest.mark.parametrize(
    "wait, limit",
    [
        (lago_testlib.assert_true_within_short, 180),
        (lago_testlib.assert_true_within_long, 600),
    ],
)
def test_the_limits_are_lagos(clock, wait, limit):
    with pytest.raises(AssertionError, match="Timed out after %d seconds" % limit):
        wait(lambda: False)
    assert limit - 3 <= clock[0] <= limit


def test_the_old_name_is_the_same():
    from ovirtlago import testlib

    assert testlib.assert_true_within is lago_testlib.assert_true_within
