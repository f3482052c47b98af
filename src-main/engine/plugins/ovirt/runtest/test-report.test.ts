import { expect, it } from 'vitest';
import { junitXml, type TestPhase, TestRecord } from './test-report.ts';

const phase = (more: Partial<TestPhase>): TestPhase => ({
  during: 'call',
  seconds: 0.5,
  outcome: 'passed',
  message: '',
  text: '',
  ...more,
});

function record(id: string, ...phases: readonly Partial<TestPhase>[]): TestRecord {
  const test = new TestRecord(id, id);
  for (const one of phases) test.add(phase(one));
  return test;
}

it.each<[string, readonly Partial<TestPhase>[], string]>([
  ['passed', [{ during: 'setup' }, {}, { during: 'teardown' }], 'passed'],
  ['fails in its body', [{ outcome: 'failed' }, { during: 'teardown' }], 'failed'],
  ['fails before it', [{ during: 'setup', outcome: 'failed' }], 'error'],
  ['fails after it', [{}, { during: 'teardown', outcome: 'failed' }], 'error'],
  ['fails twice', [{ outcome: 'failed' }, { during: 'teardown', outcome: 'failed' }], 'failed'],
  ['is skipped', [{ during: 'setup', outcome: 'skipped' }], 'skipped'],
  ['is skipped and fails after it', [{ outcome: 'skipped' }, { during: 'teardown', outcome: 'failed' }], 'error'],
])('a test that %s', (_, phases, outcome) => {
  expect(record('a.b', ...phases).outcome).toBe(outcome);
});

it('the results as nose wrote them', () => {
  const printed = record('m.C.test_out', {});
  printed.output = 'a < b & "c"\u0000\ud800 😀';
  const tests = [
    printed,
    record('m.test_of[a.b]', { outcome: 'failed', message: 'two\nlines "x"', text: '<trace>' }),
    record('m.test_skip', { during: 'setup', outcome: 'skipped', message: 'no ipv6', text: 'no ipv6' }),
  ];
  expect(junitXml(tests).split('\n')).toEqual([
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuite name="nosetests" tests="3" errors="0" failures="1" skip="1" time="1.500">',
    '<testcase classname="m.C" name="test_out" time="0.500"><system-out>a &lt; b &amp; &quot;c&quot;\ufffd\ufffd 😀</system-out></testcase>',
    '<testcase classname="m" name="test_of[a.b]" time="0.500"><failure type="failed" message="two&#10;lines &quot;x&quot;">&lt;trace&gt;</failure></testcase>',
    '<testcase classname="m" name="test_skip" time="0.500"><skipped type="skipped" message="no ipv6">no ipv6</skipped></testcase>',
    '</testsuite>',
    '',
  ]);
});
