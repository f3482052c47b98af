import { describe, expect, it } from 'vitest';
import type { OperationState, StepState } from '../../src-shared/operation.ts';
import type { TemplateVersionState } from '../../src-shared/state.ts';
import { operationOn, progressDetail, templateStatus, versionStatus } from './version-status.ts';

const NOW = 1_000_000;
const GIB = 1024 ** 3;
const absent: TemplateVersionState = {
  fullName: 'web:small:v1',
  version: 'v1',
  moving: false,
  cached: false,
  size: null,
  virtualSize: null,
  format: null,
  publishedAt: null,
  usedAt: null,
  usedBy: [],
  from: 'http://images.example/small',
  operation: null,
};
const cached: TemplateVersionState = { ...absent, cached: true, size: GIB, virtualSize: 5 * GIB, format: 'qcow2', usedAt: NOW };

function step(detail: string | undefined, steps: StepState[] = []): StepState {
  return { id: 's', label: 's', status: 'running', fraction: 0.5, detail, startedAt: 0, steps };
}

function operation(kind: OperationState['kind'], change: Partial<OperationState> = {}): OperationState {
  return {
    id: 'o',
    kind,
    label: kind,
    template: absent.fullName,
    status: 'running',
    fraction: 0.25,
    startedAt: 0,
    steps: [step(undefined, [step('1 MiB of 4 MiB, 1 MiB/s, 3 s left')])],
    logLines: 0,
    ...change,
  };
}

function failure(kind: OperationState['kind'], code: 'remote.unreachable' | 'remote.hash-mismatch'): OperationState {
  return operation(kind, { status: 'failed', error: { code, message: 'It broke.', details: {} } });
}

describe('the state of a version', () => {
  it.each<[string, TemplateVersionState, OperationState | undefined, object]>([
    ['absent', absent, undefined, { tone: 'off', word: 'not in store', detail: '' }],
    ['moving', { ...absent, moving: true }, undefined, { tone: 'off', word: 'newest from its vendor' }],
    ['stored', cached, undefined, { tone: 'ok', word: 'in store', detail: 'qcow2 · 5 GiB disk' }],
    [
      'downloading',
      absent,
      operation('fetch', { paused: false }),
      { word: 'downloading', detail: '1 MiB of 4 MiB, 1 MiB/s, 3 s left', fraction: 0.25, spin: true },
    ],
    ['paused', absent, operation('fetch', { paused: true }), { tone: 'warn', word: 'paused', detail: 'at 1 MiB of 4 MiB', fraction: 0.25 }],
    ['not begun', absent, operation('fetch', { paused: false, steps: [] }), { word: 'downloading', detail: 'asking its source' }],
    ['cancelled', absent, operation('fetch', { status: 'cancelling' }), { word: 'cancelling', detail: 'undoing' }],
    ['gone wrong', absent, failure('fetch', 'remote.unreachable'), { tone: 'bad', word: 'download failed', detail: 'It broke.' }],
    ['fetched by another command since', cached, failure('fetch', 'remote.unreachable'), { tone: 'ok', word: 'in store' }],
    ['verifying', cached, operation('verify', { paused: false }), { word: 'verifying', fraction: 0.25 }],
    [
      'verified',
      cached,
      operation('verify', { status: 'succeeded', endedAt: NOW - 120_000 }),
      { word: 'in store', detail: 'verified 2 m ago · qcow2 · 5 GiB disk' },
    ],
    ['damaged', cached, failure('verify', 'remote.hash-mismatch'), { tone: 'bad', word: 'damaged' }],
    ['damaged, and evicted since', absent, failure('verify', 'remote.hash-mismatch'), { word: 'not in store' }],
    ['not evicted', cached, failure('evict', 'remote.unreachable'), { tone: 'bad', word: 'not evicted' }],
  ])('reads well when it is %s', (_what, version, present, expected) => {
    expect(versionStatus(version, present, NOW)).toMatchObject(expected);
  });

  it('has no detail when a running operation has none', () => {
    expect(progressDetail(operation('verify', { steps: [] }))).toBe('');
  });
});

it("finds a version's operation from either side, a running one before a finished one", () => {
  const ended = operation('verify', { id: 'ended', status: 'succeeded' });
  const running = operation('fetch', { id: 'running' });
  const moving = operation('fetch', { id: 'moving', template: 'web:small:latest' });
  expect(operationOn(absent, [running, ended])?.id).toBe('running');
  expect(operationOn(absent, [ended])?.id).toBe('ended');
  expect(operationOn({ ...absent, operation: 'moving' }, [ended, moving])?.id).toBe('moving');
  expect(operationOn(absent, [moving])).toBeUndefined();
});

describe('the state of a template', () => {
  const second = { ...cached, fullName: 'web:small:v0', version: 'v0' };
  it.each<[string, TemplateVersionState[], OperationState | undefined, object]>([
    ['one that is loaded', [absent, second], operation('fetch', { paused: false }), { word: 'downloading', fraction: 0.25 }],
    ['what failed', [absent, second], failure('fetch', 'remote.unreachable'), { word: 'download failed' }],
    ['the store', [absent, second], undefined, { word: 'in store', detail: 'v0' }],
    ['several in the store', [cached, second], undefined, { word: 'in store', detail: '2 versions, newest v1' }],
    ['nothing', [absent], undefined, { word: 'not in store' }],
  ])('tells of %s', (_what, versions, present, expected) => {
    const operations = new Map(present === undefined ? [] : [[absent.fullName, present]]);
    expect(templateStatus(versions, operations, NOW)).toMatchObject(expected);
  });
});
