import { describe, expect, it } from 'vitest';
import { initialWindow, keyOf, reduceWindow, type WindowAction } from './window-state.ts';

function play(...actions: readonly WindowAction[]) {
  return actions.reduce(reduceWindow, initialWindow());
}
const plan = { type: 'show', page: { kind: 'plan', path: '/a.json' } } as const;
function environment(id: string): WindowAction {
  return { type: 'show', page: { kind: 'environment', id } };
}

describe('window state', () => {
  it('opens a tab once', () => {
    const state = play(plan, environment('x'), plan);
    expect(state.tabs.map(keyOf)).toEqual(['plan:/a.json', 'environment:x']);
    expect(keyOf(state.page)).toBe('plan:/a.json');
  });

  it('counts how often a file was opened, and shows its plan', () => {
    const open: WindowAction = { type: 'open-plan', path: '/a.json' };
    const state = play(open, environment('x'), open);
    expect(state.tabs.map(keyOf)).toEqual(['plan:/a.json', 'environment:x']);
    expect(keyOf(state.page)).toBe('plan:/a.json');
    expect(state.tabs[0]).toMatchObject({ dropped: 2 });
  });

  it('shows the neighbour of a closed tab, then home', () => {
    let state = play(environment('a'), environment('b'), environment('c'), environment('b'), { type: 'close-tab', key: 'environment:b' });
    expect(keyOf(state.page)).toBe('environment:c');
    state = reduceWindow(reduceWindow(state, { type: 'close-tab', key: 'environment:c' }), { type: 'close-tab', key: 'environment:a' });
    expect(state.page).toEqual({ kind: 'home' });
  });

  it('keeps the state of the library page, which has no tab', () => {
    const state = play({ type: 'show', page: { kind: 'library' } }, { type: 'library', change: { filter: 'debian' } }, plan);
    expect(state.tabs.map(keyOf)).toEqual(['plan:/a.json']);
    expect(state.library).toMatchObject({ filter: 'debian', view: 'templates', order: 'name' });
  });

  it('turns a plan into its environment in place', () => {
    const state = play(plan, environment('b'), plan, { type: 'created', path: '/a.json', id: 'n' });
    expect(state.tabs.map(keyOf)).toEqual(['environment:n', 'environment:b']);
    expect(keyOf(state.page)).toBe('environment:n');
  });

  it('does not pull the user back to a plan that became an environment', () => {
    const state = play(plan, environment('b'), { type: 'created', path: '/a.json', id: 'n' });
    expect(keyOf(state.page)).toBe('environment:b');
  });

  it('keeps changes of a plan in its tab', () => {
    const state = play(plan, { type: 'draft', path: '/a.json', draft: { name: 'demo' } }, environment('b'), plan);
    expect(state.tabs[0]).toMatchObject({ draft: { name: 'demo', internet: true } });
  });

  it('opens one screen per VM, and any number of shells and serial consoles', () => {
    const open = (kind: 'ssh' | 'serial' | 'screen', again = false): WindowAction => ({
      type: 'open-session',
      prefix: 'p',
      vm: 'web',
      kind,
      again,
    });
    const state = play(open('ssh'), open('ssh'), open('serial'), open('screen'), open('serial'), open('screen'));
    expect(state.sessions.map((session) => session.kind)).toEqual(['ssh', 'ssh', 'serial', 'screen', 'serial']);
    expect(state.session).toBe('s4');
    expect(state.dock).toEqual({ open: true, view: 'terminals' });
    expect(reduceWindow(state, open('serial', true))).toMatchObject({ session: 's3', sessions: { length: 5 } });
  });

  it('gives sessions that the engine kept their tabs back, once', () => {
    const kept = { id: 'old-s1', prefix: 'p', vm: 'web', kind: 'ssh' } as const;
    const state = play({ type: 'kept-sessions', sessions: [kept] }, { type: 'kept-sessions', sessions: [kept] });
    expect(state).toMatchObject({ sessions: [kept], session: 'old-s1', dock: { open: true } });
    expect(play({ type: 'kept-sessions', sessions: [] })).toEqual(initialWindow());
  });

  it('closes the tab and the sessions of an environment that is gone', () => {
    const state = play(
      environment('a'),
      environment('b'),
      { type: 'open-session', prefix: 'a', vm: 'v', kind: 'ssh' },
      { type: 'open-session', prefix: 'b', vm: 'v', kind: 'ssh' },
      { type: 'gone', ids: ['b'] },
    );
    expect(state.tabs.map(keyOf)).toEqual(['environment:a']);
    expect(state.sessions.map((session) => session.prefix)).toEqual(['a']);
    expect(state.session).toBe('s1');
    expect(keyOf(state.page)).toBe('environment:a');
  });

  it('gives forks their tabs, and shows the first one where the user has waited for it', () => {
    const asked: WindowAction = { type: 'forking', forking: { operation: 'op', from: 'a', names: ['x', 'y'] } };
    const made: WindowAction = { type: 'forked', operation: 'op', ids: ['x', 'y'] };
    const waited = play(environment('a'), asked, made);
    expect(waited.tabs.map(keyOf)).toEqual(['environment:a', 'environment:x', 'environment:y']);
    expect(keyOf(waited.page)).toBe('environment:x');
    expect(waited.forking).toEqual([]);
    const resumed = play(environment('a'), { type: 'forking', forking: { operation: 'op', from: null, names: ['x'] } }, made);
    expect(keyOf(resumed.page)).toBe('environment:x');
    const gone = play(environment('a'), asked, environment('b'), made);
    expect(keyOf(gone.page)).toBe('environment:b');
    expect(gone.tabs).toHaveLength(4);
    const failed = play(environment('a'), asked, { ...made, ids: [] });
    expect(failed).toMatchObject({ forking: [], tabs: { length: 1 } });
  });
});
