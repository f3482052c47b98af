import { describe, expect, test } from 'vitest';
import type { OperationState, StepState } from '../../src-shared/operation.ts';
import { type StoredRepoState, syncStepLabel } from '../../src-shared/repos/repo-store-state.ts';
import { filterRepos, isSameWork, removeBlocked, repoStatus, workOn } from './repo-status.ts';

const NOW = 1_000_000_000_000;
const HOUR = 3_600_000;
type Last = NonNullable<StoredRepoState['last']>;

function ended(outcome: Last['outcome'], change: Partial<Last> = {}): Last {
  return { at: NOW - HOUR, outcome, fetched: { packages: 0, bytes: 0 }, error: null, problems: 0, ...change };
}

function repo(change: Partial<StoredRepoState> = {}): StoredRepoState {
  return {
    name: 'base-el9',
    id: 'base-el9',
    path: '/store/base-el9',
    kind: 'rpm',
    distro: 'el9',
    source: 'https://repo.example/el9/',
    packages: 3,
    size: 300,
    syncedAt: NOW - HOUR,
    origin: null,
    last: ended('complete'),
    interrupted: false,
    change: { at: NOW - HOUR, added: 2, removed: 1, bytes: 2048 },
    usedBy: [],
    operation: null,
    elsewhere: null,
    ...change,
  };
}

function step(change: Partial<StepState> = {}): StepState {
  return { id: '1', label: syncStepLabel('base-el9'), status: 'running', fraction: 0.5, startedAt: 0, steps: [], ...change };
}

function operation(change: Partial<OperationState> = {}): OperationState {
  const rest = { id: 'op', kind: 'sync', label: 'Sync', status: 'running', paused: false, fraction: 0, startedAt: 0, logLines: 0 } as const;
  return { ...rest, steps: [step({ detail: '1 of 2 packages' })], ...change };
}

function running(change: Partial<OperationState> = {}): ReadonlyMap<string, OperationState> {
  return new Map([['op', operation(change)]]);
}

describe('a repository is', () => {
  test.each<[string, string, Partial<StoredRepoState>]>([
    ['synchronised', '2 new, 1 gone · 2 KiB fetched', {}],
    ['synchronised', 'nothing new; last change 2 h ago', { change: { at: NOW - 2 * HOUR, added: 1, removed: 0, bytes: 1 } }],
    ['synchronised', 'the last sync was cancelled; what has arrived is kept', { last: ended('cancelled') }],
    ['not complete', '1 package could not be had', { last: ended('incomplete', { problems: 1 }) }],
    [
      'sync failed',
      'the server answers with status 503.',
      {
        last: ended('failed', {
          error: {
            message: 'https://a/b cannot be fetched, nor from the other mirrors (2 in all): the server answers with status 503.',
            hint: null,
          },
        }),
      },
    ],
    ['sync failed', 'The file a.repo is gone.', { last: ended('failed', { error: { message: 'The file a.repo is gone.', hint: null } }) }],
    ['not complete yet', 'never synchronised to its end', { syncedAt: null, last: null, change: null }],
    ['interrupted', 'what has arrived is kept; the next sync goes on from there', { interrupted: true }],
    ['synchronising', 'by another program: repo sync (pid 7, since 2 s)', { elsewhere: 'repo sync (pid 7, since 2 s)', interrupted: true }],
    ['removing', 'by another program: repo clean (pid 7, since 2 s)', { elsewhere: 'repo clean (pid 7, since 2 s)' }],
  ])('%s: %s', (word, detail, change) => {
    expect(repoStatus(repo(change), undefined, NOW)).toMatchObject({ word, detail });
  });

  test.each<[string, string, Partial<OperationState>]>([
    ['synchronising', '1 of 2 packages', {}],
    ['paused', '1 of 2 packages', { paused: true }],
    ['waiting', 'for others to be done', { steps: [] }],
    ['paused', 'waiting for its turn', { steps: [], paused: true }],
    ['cancelling', '', { status: 'cancelling' }],
    ['removing', '', { kind: 'evict', steps: [] }],
  ])('%s (%s) while an operation works on it', (word, detail, change) => {
    const busy = repo({ operation: 'op' });
    expect(repoStatus(busy, workOn(busy, running(change)), NOW)).toMatchObject({ word, detail });
  });
});

test('an operation that goes on with other repositories, or has ended, does nothing with it any more', () => {
  const busy = repo({ operation: 'op' });
  expect(workOn(busy, running({ steps: [step({ status: 'succeeded' })] }))).toBeUndefined();
  expect(workOn(busy, running({ status: 'failed' }))).toBeUndefined();
  expect(workOn(repo(), running())).toBeUndefined();
});

test('work is the same while nothing of it changes that a row shows', () => {
  const busy = repo({ operation: 'op' });
  const work = workOn(busy, running());
  expect(isSameWork(work, workOn(busy, running({ fraction: 0.7, logLines: 9 })))).toBe(true);
  expect(isSameWork(work, workOn(busy, running({ paused: true })))).toBe(false);
  expect(isSameWork(work, workOn(busy, running({ steps: [step({ fraction: 0.6 })] })))).toBe(false);
  expect(isSameWork(work, workOn(busy, running({ steps: [] })))).toBe(false);
  expect(isSameWork(work, undefined)).toBe(false);
});

test('every word of a filter has to be in the name, the kind, the address or the users', () => {
  const repos = [repo(), repo({ name: 'other-fc41', kind: 'deb', source: 'https://x/', usedBy: [{ name: 'shop', path: '/shop' }] })];
  const found = (filter: string): readonly string[] => filterRepos(repos, filter).map(({ name }) => name);
  expect(found(' ')).toEqual(['base-el9', 'other-fc41']);
  expect(found('BASE repo.example')).toEqual(['base-el9']);
  expect(found('shop deb')).toEqual(['other-fc41']);
  expect(found('shop rpm')).toEqual([]);
});

test('one that environments use cannot be removed', () => {
  expect(removeBlocked(repo())).toBeUndefined();
  const usedBy = ['a', 'b', 'c', 'd'].map((name) => ({ name, path: `/${name}` }));
  expect(removeBlocked(repo({ usedBy }))).toBe('Used by a, b, c and 1 more');
});
