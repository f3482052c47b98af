"""The old name of lago_testlib: `from ovirtlago import testlib`."""
from lago_testlib import *  # noqa: F401,F403
