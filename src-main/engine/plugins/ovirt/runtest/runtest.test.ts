import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { EngineError } from '../../../../../src-shared/errors.ts';
import { startOperation } from '../../../core/operation.ts';
import type { CollectRequest } from '../../../recipes/collect/collect-request.ts';
import { type FakeCall, fakeCall } from '../verb-call.test-support.ts';
import { runtest } from './runtest.ts';

/** Debian's, with Debian's pytest; it takes a second or so to start. */
const PYTHON = '/usr/bin/python3';

let prefix: string;
/** What was to be collected, by the name of the folder without its time. */
let collected: string[];
let failure: EngineError | undefined;
beforeEach(() => {
  prefix = realpathSync(mkdtempSync(join(tmpdir(), 'lago-runtest-')));
  collected = [];
  failure = undefined;
});
afterEach(() => rmSync(prefix, { recursive: true, force: true }));

const engine = {
  repos: {
    serveDuring: async () => await Promise.resolve({ [Symbol.asyncDispose]: async () => await Promise.resolve() }),
  },
  prefix: {
    collect: (_path: string, { output = '', why }: CollectRequest) =>
      startOperation({ kind: 'collect', label: 'Collect' }, async () => {
        collected.push(`${output.replace(/-\d{14}$/, '')} ${why}`);
        if (failure !== undefined) throw failure;
        await Promise.resolve();
      }),
  },
};

function callOn(signal = new AbortController().signal): FakeCall {
  return fakeCall({ prefix, engine, signal, resources: join(import.meta.dirname, '../../../../../resources') });
}

function write(name: string, ...content: readonly string[]): string {
  writeFileSync(join(prefix, name), `${content.join('\n')}\n`);
  return name;
}

const results = (name: string): string[] =>
  [...readFileSync(join(prefix, name), 'utf8').matchAll(/<testcase classname="(.*?)" name="(.*?)" time=".*?">(?:<(\w+) type)?/g)].map(
    ([, place, test, bad]) => `${place}.${test} ${bad ?? 'ok'}`,
  );

it('shows each test as a task, collects artifacts after failures, and writes the results', async () => {
  const file = write(
    '001_basic.py',
    'import os, unittest, pytest',
    'def test_passes():',
    '    """It passes"""',
    '    assert os.environ["LAGO_PREFIX"] == os.environ["LAGO_PREFIX_PATH"] == os.getcwd()',
    'def test_fails():',
    '    print("before")',
    '    assert 1 == 2',
    'def test_skipped():',
    '    raise unittest.SkipTest("no ipv6")',
    '@pytest.fixture',
    'def broken():',
    '    raise KeyError("x")',
    'def test_without_setup(broken):',
    '    pass',
  );
  const { call, shown } = callOn();
  expect(await runtest(call, { file, python: PYTHON })).toBe(1);
  const tasks = shown.filter((line) => /^[<>]|SKIPPED/.test(line));
  expect(tasks).toEqual([
    '> It passes',
    '< It passes: succeeded',
    '> 001_basic.test_fails',
    '< 001_basic.test_fails: failed',
    '> 001_basic.test_skipped',
    'info: SKIPPED: no ipv6',
    '< 001_basic.test_skipped: succeeded',
    '> 001_basic.test_without_setup',
    '< 001_basic.test_without_setup: failed',
  ]);
  expect(shown.join('\n')).toContain('assert 1 == 2');
  expect(shown.at(-1)).toBe('error: Some tests failed: 001_basic.test_fails, 001_basic.test_without_setup.');
  expect(collected).toEqual([
    `${prefix}/test_logs/001_basic.test_fails test failed`,
    `${prefix}/test_logs/001_basic.test_without_setup test failed`,
  ]);
  expect(results('nosetests-001_basic.py.xml')).toEqual([
    '001_basic.test_passes ok',
    '001_basic.test_fails failure',
    '001_basic.test_skipped skipped',
    '001_basic.test_without_setup error',
  ]);
  expect(readFileSync(join(prefix, 'nosetests-001_basic.py.xml'), 'utf8')).toContain('before');
});

it('ends with 0 when all is well, and writes the results where they are wanted', async () => {
  const { call } = callOn();
  const file = write('test_well.py', 'def test_a(): pass');
  expect(await runtest(call, { file, python: PYTHON, junitxml: 'mine.xml' })).toBe(0);
  expect(results('mine.xml')).toEqual(['test_well.test_a ok']);
  expect(existsSync(join(prefix, 'nosetests-test_well.py.xml'))).toBe(false);
});

it('tells of a file that cannot be read, and of one without tests', async () => {
  const { call, shown } = callOn();
  expect(await runtest(call, { file: write('broken.py', 'import no_such_module'), python: PYTHON })).toBe(1);
  expect(shown.join('\n')).toContain("No module named 'no_such_module'");
  expect(results('nosetests-broken.py.xml')).toEqual(['.broken error']);
  expect(await runtest(call, { file: write('empty.py', ''), python: PYTHON })).toBe(0);
  expect(shown.at(-1)).toBe('warn: There are no tests in this file.');
  await expect(runtest(call, { file: 'none.py', python: PYTHON })).rejects.toMatchObject({
    code: 'input.missing-file',
    message: `Test file not found: ${prefix}/none.py.`,
  });
  await expect(runtest(call, { file: 'empty.py', python: '/bin/false' })).rejects.toMatchObject({ code: 'host.missing-tool' });
});

it('reports an interpreter that crashes, with what ran before', async () => {
  const file = write(
    'test_crash.py',
    'import os, signal',
    'def test_before(): pass',
    'def test_crashes():',
    '    os.kill(os.getpid(), signal.SIGSEGV)',
    'def test_after(): pass',
  );
  const { call, shown } = callOn();
  expect(await runtest(call, { file, python: PYTHON })).toBe(1);
  expect(shown.join('\n')).toContain('Segmentation fault');
  expect(results('nosetests-test_crash.py.xml')).toEqual(['test_crash.test_before ok', 'test_crash.test_crashes error']);
  expect(readFileSync(join(prefix, 'nosetests-test_crash.py.xml'), 'utf8')).toContain(
    'The interpreter was ended by SIGSEGV while this test ran.',
  );
  expect(collected).toEqual([`${prefix}/test_logs/test_crash.test_crashes test failed`]);
});

it('a failure to collect artifacts does not hide the test', async () => {
  failure = new EngineError('guest.unreachable', 'VM web does not answer.');
  const { call, shown } = callOn();
  expect(await runtest(call, { file: write('test_bad.py', 'def test_bad(): assert False'), python: PYTHON })).toBe(1);
  expect(shown.find((line) => line.startsWith('warn'))).toContain('VM web does not answer.');
});

it('ends tests that hang, with what they started; the results of the others stay', async () => {
  const file = write(
    'test_hang.py',
    'import subprocess, time',
    'def test_before(): pass',
    'def test_hangs():',
    '    child = subprocess.Popen(["sleep", "1000"])',
    '    open("pid.part", "w").write(str(child.pid))',
    '    import os; os.rename("pid.part", "pid")',
    '    try: time.sleep(1000)',
    '    finally: open("torn-down", "w").close()',
  );
  const abort = new AbortController();
  const { call } = callOn(abort.signal);
  const running = runtest(call, { file, python: PYTHON });
  await expect.poll(() => existsSync(join(prefix, 'pid')), { timeout: 15_000 }).toBe(true);
  abort.abort(new EngineError('cancelled', 'Cancelled.'));
  await expect(running).rejects.toMatchObject({ code: 'cancelled' });
  expect(existsSync(join(prefix, 'torn-down'))).toBe(true);
  expect(existsSync(`/proc/${readFileSync(join(prefix, 'pid'), 'utf8')}/cwd`)).toBe(false);
  expect(results('nosetests-test_hang.py.xml')).toEqual(['test_hang.test_before ok', 'test_hang.test_hangs error']);
  expect(collected).toEqual([]);
});
