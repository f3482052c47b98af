"""Waiting for something to become true, with Lago's time limits."""
import time

#: Seconds; Lago's limits of the functions `…_short` and `…_long`.
SHORT_TIMEOUT = 3 * 60
LONG_TIMEOUT = 10 * 60
#: Seconds between two looks.
POLL = 3

_NOTHING = object()


def assert_equals_within(func, value, timeout, allowed_exceptions=None):
    """Call `func` until it returns `value`, every 3 seconds.

    `AssertionError` after `timeout` seconds, with what it returned last. Exceptions of the types in `allowed_exceptions`
    count as "not yet"; any other is raised at once.
    """
    allowed = tuple(allowed_exceptions or ())
    end = time.monotonic() + timeout
    last, failure = _NOTHING, None
    while True:
        try:
            last, failure = func(), None
            if last == value:
                return
        except allowed as error:
            failure = error
        if time.monotonic() + POLL >= end:
            break
        time.sleep(POLL)
    message = "Timed out after %s seconds" % timeout
    if failure is not None:
        raise AssertionError("%s: the last try raised %r" % (message, failure)) from failure
    raise AssertionError("%s: got %r, wanted %r" % (message, last, value))


def assert_equals_within_short(func, value, allowed_exceptions=None):
    """`assert_equals_within` for 3 minutes."""
    assert_equals_within(func, value, SHORT_TIMEOUT, allowed_exceptions)


def assert_equals_within_long(func, value, allowed_exceptions=None):
    """`assert_equals_within` for 10 minutes."""
    assert_equals_within(func, value, LONG_TIMEOUT, allowed_exceptions)


def assert_true_within(func, timeout, allowed_exceptions=None):
    """`assert_equals_within` for anything that counts as true."""
    assert_equals_within(lambda: bool(func()), True, timeout, allowed_exceptions)


def assert_true_within_short(func, allowed_exceptions=None):
    """`assert_true_within` for 3 minutes."""
    assert_true_within(func, SHORT_TIMEOUT, allowed_exceptions)


def assert_true_within_long(func, allowed_exceptions=None):
    """`assert_true_within` for 10 minutes."""
    assert_true_within(func, LONG_TIMEOUT, allowed_exceptions)
