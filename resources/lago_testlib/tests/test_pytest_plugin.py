import pytest

pytest_plugins = ["pytester"]

NOSE_STYLE = """
log = []

def setup():
    log.append("module")

def setup_one():
    log.append("one")

def test_with_setup():
    assert log == ["module", "one"]

test_with_setup.setup = setup_one

def test_each():
    def check(number):
        assert number < 3
    check.description = "number"
    for number in range(1, 4):
        yield check, number

class TestThings:
    def setup(self):
        self.ready = True

    def test_ready(self):
        assert self.ready

    def test_yielding(self):
        yield self.check

    def check(self):
        assert self.ready

def helper():
    yield 1
"""


@pytest.mark.filterwarnings("ignore")
def test_nose_style_files_are_run(pytester):
    pytester.makepyfile(test_nose=NOSE_STYLE)
    result = pytester.runpytest_subprocess("-p", "lago_testlib.pytest_plugin", "-v")
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["*test_each[[]3[]] FAILED*"])
