import { expect, test } from 'vitest';
import type { ScriptRun, VmDeploy } from '../../src-shared/deploy.ts';
import { ScriptStatus } from '../../src-shared/deploy.ts';
import type { PrefixState } from '../../src-shared/state.ts';
import { deployBlocked, isUnfinished, mostInteresting, scriptStatus, unfinishedVms } from './script-status.ts';

const script = (state: ScriptStatus, code: number | null = null): ScriptRun => ({
  name: 'a.sh',
  state,
  code,
  startedAt: null,
  endedAt: null,
});
const vm = (name: string, ...states: ScriptStatus[]): VmDeploy => ({ vm: name, scripts: states.map((state) => script(state)) });

test('every state has a word of its own', () => {
  const words = ScriptStatus.options.map((state) => scriptStatus(script(state)).word);
  expect(new Set(words).size).toBe(words.length);
  expect(scriptStatus(script('failed', 3)).word).toBe('failed with status 3');
});

test('what is unfinished can be gone on with', () => {
  expect(isUnfinished([vm('a', 'pending'), vm('b', 'pending')])).toBe(false);
  expect(isUnfinished([vm('a', 'ok'), vm('b', 'ok')])).toBe(false);
  expect(isUnfinished([vm('a', 'ok', 'failed'), vm('b', 'ok')])).toBe(true);
  expect(unfinishedVms([vm('a', 'ok', 'failed'), vm('b', 'ok')])).toEqual(['a']);
});

test('the script that runs is looked at first, then the one that failed', () => {
  expect(mostInteresting([])).toBeUndefined();
  expect(mostInteresting([vm('a', 'ok', 'pending'), vm('b', 'pending')])).toMatchObject({ vm: 'a', index: 0 });
  expect(mostInteresting([vm('a', 'ok', 'failed'), vm('b', 'pending')])).toMatchObject({ vm: 'a', index: 1 });
  expect(mostInteresting([vm('a', 'ok', 'failed'), vm('b', 'running')])).toMatchObject({ vm: 'b', index: 0 });
});

test('VMs must run, and one deploy at a time', () => {
  const prefix = {
    phase: 'ready',
    host: { status: 'up' },
    vms: ['a', 'b', 'c'].map((name) => ({ name, status: name === 'a' ? 'running' : 'down' })),
    deploy: [vm('a', 'ok')],
  } as unknown as PrefixState;
  expect(deployBlocked(prefix, ['a'])).toBeUndefined();
  expect(deployBlocked(prefix, ['a', 'b'])).toBe('b is not running');
  expect(deployBlocked(prefix, ['a', 'b', 'c'])).toBe('b, c are not running');
  expect(deployBlocked({ ...prefix, deploy: [vm('a', 'running')] }, ['a'])).toBe('A deploy is under way');
  expect(deployBlocked({ ...prefix, phase: 'broken' }, ['a'])).toBe('The environment is not ready');
});
