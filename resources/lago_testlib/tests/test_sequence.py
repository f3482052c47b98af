import unittest

import pytest

from lago_testlib import continue_on_failure, sequence


def outcomes(*tests):
    found = []
    for test in sequence.test_sequence_gen(tests):
        try:
            test()
            found.append("%s passed" % test.description)
        except unittest.SkipTest as skip:
            found.append("%s skipped: %s" % (test.description, skip))
        except Exception as error:
            found.append("%s failed: %s" % (test.description, error))
    return found


def good():
    pass


def bad():
    raise ValueError("no")


@continue_on_failure
def harmless():
    raise ValueError("never mind")


def skipped():
    raise unittest.SkipTest("not here")


@pytest.mark.parametrize(
    "tests, expected",
    [
        ([good, good], ["good passed", "good passed"]),
        ([bad, good], ["bad failed: no", "good skipped: bad failed before"]),
        ([harmless, good], ["harmless failed: never mind", "good passed"]),
        ([skipped, good], ["skipped skipped: not here", "good passed"]),
    ],
)
def test_after_a_failure_the_rest_is_skipped(tests, expected):
    assert outcomes(*tests) == expected
