"""The old name of lago_testlib, for tests that were written for Lago's oVirt plugin."""
