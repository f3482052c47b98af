import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { type CommandOptions, lago, lagoOk, type Outcome } from '../support/lago.ts';
import { expectNoProcess } from '../support/leaks.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';

/** Files of tests on an environment of one VM, which all tests here share and leave running. */

test.describe.configure({ mode: 'serial' });

let scratch: Scratch;
let prefix: string;

test.beforeAll(async () => {
  test.setTimeout(300_000);
  scratch = makeScratch();
  prefix = join(scratch.dir, '.lago/default');
  const file = scratch.write(
    'LagoInitFile',
    JSON.stringify({
      nets: { front: { type: 'nat', management: true, gw: '192.168.200.1', dhcp: { start: 100, end: 200 } } },
      domains: {
        engine: {
          'vm-type': 'ovirt-engine',
          memory: 192,
          vcpu: 1,
          nics: [{ net: 'front' }],
          disks: [{ name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: 'lago-sample' }],
          artifacts: ['/root/traces'],
          metadata: { 'ovirt-capabilities': ['snapshot'] },
        },
      },
    }),
  );
  await lagoOk(scratch, ['init', file]);
  await lagoOk(scratch, ['start']);
});

test.afterAll(async () => {
  await lago(scratch, ['destroy', '--yes']);
  await expectNoProcess(scratch);
  scratch.remove();
});

async function runtest(name: string, lines: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  return await lago(scratch, ['ovirt', 'runtest', scratch.write(name, `${lines.join('\n')}\n`)], options);
}

const results = (file: string): string => readFileSync(join(prefix, `nosetests-${file}.xml`), 'utf8');
/** How the tests of a file ended, as a program that reads JUnit XML sees it. */
function summaryOf(file: string): unknown {
  const script = [
    'import json, sys, xml.etree.ElementTree as tree',
    'cases = tree.parse(sys.argv[1]).iter("testcase")',
    'print(json.dumps({case.get("name"): case[0].tag if len(case) else "ok" for case in cases}))',
  ];
  return JSON.parse(execFileSync('python3', ['-c', script.join('\n'), join(prefix, `nosetests-${file}.xml`)], { encoding: 'utf8' }));
}
/** Folders of collected artifacts, without their times. */
const collected = (): string[] => {
  const folder = join(prefix, 'test_logs');
  return existsSync(folder) ? readdirSync(folder).sort() : [];
};

test('tests work on the environment, and what was there when one failed is kept', async () => {
  test.setTimeout(300_000);
  const outcome = await runtest('001_basic.py', [
    'import lago_testlib',
    'from ovirtlago import testlib',
    '',
    '@testlib.with_ovirt_prefix',
    'def write(prefix):',
    '    assert prefix.virt_env.engine_vm().ssh(["mkdir -p /root/traces && echo one >/root/traces/log"]).code == 0',
    '',
    '@testlib.with_ovirt_prefix',
    'def read(prefix):',
    '    assert prefix.get_vm("engine").ssh("cat /root/traces/log").out == "two\\n"',
    '',
    'def never():',
    '    raise ValueError("it stands on read")',
    '',
    'def test_sequence():',
    '    for each in testlib.test_sequence_gen([write, read, never]):',
    '        yield each',
    '',
    '@lago_testlib.engine_capability(["snapshot"])',
    'def test_capable(): pass',
    '',
    '@lago_testlib.engine_capability(["snapshot", "ldap"])',
    'def test_incapable(): raise ValueError("it should be skipped")',
    '',
    'class TestNose:',
    '    def setup(self): self.ready = True',
    '    def test_ready(self): assert self.ready',
  ]);
  expect(outcome.code, outcome.stderr).toBe(1);
  expect(outcome.stderr).toMatch(/@ write: Success/);
  expect(outcome.stderr).toMatch(/@ read: ERROR/);
  expect(outcome.stderr).toContain('SKIPPED: read failed before');
  expect(outcome.stderr).toContain('SKIPPED: engine: no ldap');
  expect(outcome.stderr).toContain('Some tests failed: 001_basic.test_sequence[2].');
  expect(results('001_basic.py')).toContain('<testsuite name="nosetests" tests="6" errors="0" failures="1" skip="2"');
  const [folder = '', ...more] = collected();
  expect(more).toEqual([]);
  expect(folder).toMatch(/^001_basic\.test_sequence\[2\]-\d{14}$/);
  expect(readFileSync(join(prefix, 'test_logs', folder, 'engine/_root_traces/log'), 'utf8')).toBe('one\n');
});

test('a file whose tests pass ends with 0, and nothing is collected', async () => {
  const before = collected();
  const outcome = await runtest('004_passing.py', [
    'import os',
    'import lago_testlib',
    'def test_variables(): assert os.path.samefile(os.environ["LAGO_PREFIX"], os.environ["LAGO_PREFIX_PATH"])',
    'def test_vm(): assert lago_testlib.get_test_prefix().get_vm("engine").ssh("hostname").out == "engine\\n"',
  ]);
  expect(outcome.code, outcome.stderr).toBe(0);
  expect(outcome.stderr).toContain('@ 004_passing.test_vm: Success');
  expect(collected()).toEqual(before);
  expect(summaryOf('004_passing.py')).toEqual({ test_variables: 'ok', test_vm: 'ok' });
});

test('each failed test has artifacts of its own, as they were when it failed', async () => {
  test.setTimeout(300_000);
  const outcome = await runtest('005_failing.py', [
    'from lago_testlib import get_test_prefix',
    'def trace(text): assert get_test_prefix().get_vm("engine").ssh("mkdir -p /root/traces; echo %s >/root/traces/log" % text).code == 0',
    'def test_first(): trace("first"); assert 1 == 2, "one & <two>"',
    'def test_between(): pass',
    'def test_second(): trace("second"); raise KeyError("x")',
  ]);
  expect(outcome.code, outcome.stderr).toBe(1);
  expect(outcome.stderr).toContain('Some tests failed: 005_failing.test_first, 005_failing.test_second.');
  const folders = collected().filter((name) => name.startsWith('005_failing.'));
  expect(folders.map((name) => name.replace(/-\d{14}$/, ''))).toEqual(['005_failing.test_first', '005_failing.test_second']);
  const traces = folders.map((name) => readFileSync(join(prefix, 'test_logs', name, 'engine/_root_traces/log'), 'utf8'));
  expect(traces).toEqual(['first\n', 'second\n']);
  expect(summaryOf('005_failing.py')).toEqual({ test_first: 'failure', test_between: 'ok', test_second: 'failure' });
});

test('an interpreter that crashes is reported, and artifacts are collected', async () => {
  test.setTimeout(300_000);
  const outcome = await runtest('002_crash.py', [
    'import ctypes',
    'def test_before(): pass',
    'def test_crashes(): ctypes.string_at(0)',
    'def test_after(): pass',
  ]);
  expect(outcome.code, outcome.stderr).toBe(1);
  expect(outcome.stderr).toContain('Segmentation fault');
  expect(results('002_crash.py')).toContain('The interpreter was ended by SIGSEGV while this test ran.');
  expect(collected().filter((name) => name.startsWith('002_crash.test_crashes-'))).toHaveLength(1);
});

test('Ctrl-C ends a test that hangs, with all that it started; the rest of the results is there', async () => {
  test.setTimeout(300_000);
  const outcome = await runtest(
    '003_hang.py',
    [
      'import subprocess, sys, time',
      'def test_before(): pass',
      'def test_hangs():',
      '    """It hangs"""',
      '    subprocess.Popen(["sleep", "100003"])',
      '    time.sleep(100003)',
    ],
    {
      onStart(child) {
        let begun = false;
        child.stderr?.on('data', (chunk: Buffer) => {
          if (begun || !chunk.toString().includes('@ It hangs: ')) return;
          begun = true;
          child.kill('SIGINT');
        });
      },
    },
  );
  expect(outcome.code, outcome.stderr).toBe(130);
  expect(results('003_hang.py')).toMatch(/name="test_before" time="[\d.]+"><\/testcase>\n.*name="test_hangs".*<error /);
  expect(collected().filter((name) => name.startsWith('003'))).toEqual([]);
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const path = `/proc/${pid}/cmdline`;
    // A process may have ended since the list was read.
    const words = existsSync(path) ? readFileSync(path, 'latin1') : '';
    expect(words).not.toContain('100003');
  }
});

test('says what is wrong with a command line', async () => {
  const missing = await lago(scratch, ['ovirt', 'runtest', 'none.py']);
  expect(missing.code).toBe(2);
  expect(missing.stderr).toContain('Test file not found: ');
  const nothing = await lago(scratch, ['ovirt', 'runtest']);
  expect(nothing.code).toBe(2);
  expect(nothing.stderr).toContain('ovirt runtest: something is missing.');
});
