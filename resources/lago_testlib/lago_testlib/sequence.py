"""Tests that stand on each other: when one fails, the rest is skipped."""
import functools
from unittest import SkipTest


def continue_on_failure(func):
    """Mark a test of a sequence: when it fails, those after it are run all the same."""
    func.continue_on_failure = True
    return func


def test_sequence_gen(test_list):
    """Yield the tests of a list for a generator test::

        def test_all():
            for each in test_sequence_gen([add_host, add_storage]):
                yield each
    """
    failed = []
    for test in test_list:
        yield _in_sequence(test, failed)


# pytest would take it for a test where it is imported by name.
test_sequence_gen.__test__ = False


def _in_sequence(test, failed):
    @functools.wraps(test)
    def wrapped_test():
        if failed:
            raise SkipTest("%s failed before" % failed[0])
        try:
            test()
        except SkipTest:
            raise
        except BaseException:
            if not getattr(test, "continue_on_failure", False):
                failed.append(test.__name__)
            raise

    wrapped_test.description = test.__name__
    return wrapped_test
