import { describe, expect, it } from 'vitest';
import type { OperationState } from '../src-shared/operation.ts';
import type { PrefixState } from '../src-shared/state.ts';
import { applyConnection, applyLiveEvent, createLiveCache, readPrefixes } from './live-cache.ts';

function prefix(id: string, name = id): PrefixState {
  return {
    id,
    name,
    path: `/w/${name}`,
    workdir: '/w',
    phase: 'ready',
    problem: null,
    initFile: null,
    host: { kind: 'embedded', uri: 'qemu:///system', status: 'up', accelerator: 'kvm', uplink: 'none', problem: null },
    vms: [],
    networks: [],
    snapshots: [],
    events: [],
    forkedFrom: null,
    deploy: [],
    diskUsage: 0,
    busy: null,
  };
}

function operation(id: string, fraction: number): OperationState {
  return { id, kind: 'create', label: id, status: 'running', fraction, startedAt: 0, steps: [], logLines: 0 };
}

describe('live cache', () => {
  it('replaces, adds and removes environments', () => {
    const cache = createLiveCache();
    applyLiveEvent(cache, { type: 'prefixes', prefixes: [prefix('a'), prefix('b')] });
    applyLiveEvent(cache, { type: 'prefix', prefix: prefix('a', 'renamed') });
    applyLiveEvent(cache, { type: 'prefix', prefix: prefix('c') });
    expect(readPrefixes(cache).map((item) => item.name)).toEqual(['renamed', 'b', 'c']);
    applyLiveEvent(cache, { type: 'prefix-gone', id: 'b' });
    expect(readPrefixes(cache).map((item) => item.id)).toEqual(['a', 'c']);
  });

  it('keeps the identity of what did not change', () => {
    const cache = createLiveCache();
    applyLiveEvent(cache, { type: 'prefixes', prefixes: [prefix('a'), prefix('b')] });
    const before = readPrefixes(cache);
    applyLiveEvent(cache, { type: 'prefixes', prefixes: [prefix('a'), prefix('b', 'other')] });
    expect(readPrefixes(cache)[0]).toBe(before[0]);
    expect(readPrefixes(cache)[1]).not.toBe(before[1]);
  });

  it('takes a change before the first list', () => {
    const cache = createLiveCache();
    applyLiveEvent(cache, { type: 'prefix-gone', id: 'x' });
    applyLiveEvent(cache, { type: 'prefix', prefix: prefix('a') });
    expect(readPrefixes(cache)).toHaveLength(1);
  });

  it('mirrors operations', () => {
    const cache = createLiveCache();
    applyLiveEvent(cache, { type: 'operations', operations: [] });
    applyLiveEvent(cache, { type: 'operation', operation: operation('o', 0.1) });
    applyLiveEvent(cache, { type: 'operation', operation: operation('o', 0.5) });
    expect(cache.getQueryData<readonly OperationState[]>(['operations'])?.map((item) => item.fraction)).toEqual([0.5]);
    applyLiveEvent(cache, { type: 'operation-gone', id: 'o' });
    expect(cache.getQueryData(['operations'])).toEqual([]);
  });

  it('keeps the time of the first loss over failed retries', () => {
    const cache = createLiveCache();
    applyConnection(cache, { status: 'connected' });
    applyConnection(cache, { status: 'lost', since: 1, cause: 'gone' });
    applyConnection(cache, { status: 'lost', since: 9, cause: 'no answer' });
    expect(cache.getQueryData(['connection'])).toEqual({ status: 'lost', since: 1, cause: 'no answer' });
    applyConnection(cache, { status: 'connected' });
    applyConnection(cache, { status: 'lost', since: 20, cause: 'gone' });
    expect(cache.getQueryData(['connection'])).toMatchObject({ since: 20 });
  });
});
