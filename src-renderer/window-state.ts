import { createContext, type Dispatch, use } from 'react';
import type { HostChoice } from '../src-shared/host/host-choice.ts';
import type { CatalogueOrder } from './library/catalogue.ts';

/** The page in the middle of the window. */
export type Page =
  | { readonly kind: 'home' }
  | { readonly kind: 'machine' }
  | { readonly kind: 'library' }
  | { readonly kind: 'repositories' }
  | { readonly kind: 'plan'; readonly path: string }
  | { readonly kind: 'environment'; readonly id: string };

/** A page with a tab. A plan has the user's choices, how often its file was opened and, once started, the operation that creates it. */
export type Tab =
  | { readonly kind: 'plan'; readonly path: string; readonly draft: PlanDraft; readonly operation: string | null; readonly dropped: number }
  | { readonly kind: 'environment'; readonly id: string };

/** The user's changes to a plan; null where the proposal applies. */
export interface PlanDraft {
  readonly name: string | null;
  readonly workdir: string | null;
  readonly host: HostChoice['kind'];
  readonly uri: string;
  /** The machine of a remote host: `ssh://user@machine`. */
  readonly machine: string;
  readonly internet: boolean;
  /** Files outside the init file's folder that the user has allowed. */
  readonly allowPaths: readonly string[];
}

export const EMPTY_DRAFT: PlanDraft = {
  name: null,
  workdir: null,
  host: 'embedded',
  uri: 'qemu:///system',
  machine: 'ssh://',
  internet: true,
  allowPaths: [],
};

export type SessionKind = 'ssh' | 'serial' | 'screen';

/** One terminal tab of the dock. */
export interface TerminalSession {
  readonly id: string;
  readonly prefix: string;
  readonly vm: string;
  readonly kind: SessionKind;
}

/** The views of an environment's page. */
export type EnvironmentView = 'vms' | 'networks' | 'snapshots' | 'deploy' | 'artifacts' | 'packages' | 'activity';

/** Filter, order and unfolded rows of the library, restored when the user comes back to it. */
export interface LibraryView {
  readonly view: 'templates' | 'repositories';
  readonly filter: string;
  /** Only templates in the store. */
  readonly stored: boolean;
  readonly order: CatalogueOrder;
  /** Ids of the templates whose versions are shown. */
  readonly open: readonly string[];
}

/** Filter and unfolded rows of the page of package repositories, restored when the user comes back to it. */
export interface RepositoriesView {
  readonly filter: string;
  /** Names of the repositories whose details are shown. */
  readonly open: readonly string[];
}

export type DockView = 'terminals' | 'tasks' | 'log';

/** All window state that does not come from the engine. */
export interface WindowState {
  readonly page: Page;
  readonly tabs: readonly Tab[];
  readonly dock: { readonly open: boolean; readonly view: DockView };
  readonly sessions: readonly TerminalSession[];
  /** Id of the visible session. */
  readonly session: string | null;
  readonly nextSession: number;
  /** Begins the ids of this page's sessions: those of an earlier page may still exist. */
  readonly run: string;
  /** Environment → its selected view, by default `vms`. */
  readonly views: Readonly<Record<string, EnvironmentView>>;
  /** Environment → the sources of packages that the user wants merged next; absent: those of its last merge. */
  readonly sources: Readonly<Record<string, readonly string[]>>;
  readonly library: LibraryView;
  readonly repositories: RepositoriesView;
  /** Forks that the user asked for here: their environments are shown when they are there. */
  readonly forking: readonly Forking[];
}

/** An operation that makes environments that go on from a snapshot. */
export interface Forking {
  readonly operation: string;
  /** Id of the environment that is forked; null for an exported snapshot. */
  readonly from: string | null;
  readonly names: readonly string[];
}

export type WindowAction =
  | { readonly type: 'show'; readonly page: Page }
  /** A file was dropped or chosen: show its plan, and reread it if it is already open. */
  | { readonly type: 'open-plan'; readonly path: string }
  | { readonly type: 'view'; readonly id: string; readonly view: EnvironmentView }
  | { readonly type: 'sources'; readonly id: string; readonly sources: readonly string[] }
  | { readonly type: 'library'; readonly change: Partial<LibraryView> }
  | { readonly type: 'repositories'; readonly change: Partial<RepositoriesView> }
  | { readonly type: 'close-tab'; readonly key: string }
  | { readonly type: 'draft'; readonly path: string; readonly draft: Partial<PlanDraft> }
  | { readonly type: 'creating'; readonly path: string; readonly operation: string | null }
  | { readonly type: 'created'; readonly path: string; readonly id: string }
  | { readonly type: 'forking'; readonly forking: Forking }
  /** The operation has ended; `ids` are the environments that it made. */
  | { readonly type: 'forked'; readonly operation: string; readonly ids: readonly string[] }
  | { readonly type: 'gone'; readonly ids: readonly string[] }
  | { readonly type: 'dock'; readonly open?: boolean; readonly view?: DockView }
  /** `again`: shows one that is already open. */
  | { readonly type: 'open-session'; readonly prefix: string; readonly vm: string; readonly kind: SessionKind; readonly again?: boolean }
  /** Sessions that the engine kept while there was no page: they get their tabs back. */
  | { readonly type: 'kept-sessions'; readonly sessions: readonly TerminalSession[] }
  | { readonly type: 'show-session'; readonly id: string }
  | { readonly type: 'close-session'; readonly id: string };

/** Identifies a tab or the tab of a page; pages without a tab use their kind. */
export function keyOf(page: Page | Tab): string {
  switch (page.kind) {
    case 'plan':
      return `plan:${page.path}`;
    case 'environment':
      return `environment:${page.id}`;
    default:
      return page.kind;
  }
}

function pageOf(tab: Tab): Page {
  return tab.kind === 'plan' ? { kind: 'plan', path: tab.path } : tab;
}

/** Initial state of a window with these tabs. */
export function initialWindow(environments: readonly string[] = [], dockOpen = false, run = ''): WindowState {
  return {
    page: { kind: 'home' },
    tabs: environments.map((id) => ({ kind: 'environment', id })),
    dock: { open: dockOpen, view: 'terminals' },
    sessions: [],
    session: null,
    nextSession: 1,
    run,
    views: {},
    sources: {},
    library: { view: 'templates', filter: '', stored: false, order: 'name', open: [] },
    repositories: { filter: '', open: [] },
    forking: [],
  };
}

function show(state: WindowState, page: Page): WindowState {
  const key = keyOf(page);
  if ((page.kind !== 'plan' && page.kind !== 'environment') || state.tabs.some((tab) => keyOf(tab) === key)) return { ...state, page };
  const tab: Tab = page.kind === 'plan' ? { kind: 'plan', path: page.path, draft: EMPTY_DRAFT, operation: null, dropped: 0 } : page;
  return { ...state, page, tabs: [...state.tabs, tab] };
}

function closeTab(state: WindowState, key: string): WindowState {
  const index = state.tabs.findIndex((tab) => keyOf(tab) === key);
  if (index < 0) return state;
  const tabs = state.tabs.toSpliced(index, 1);
  if (keyOf(state.page) !== key) return { ...state, tabs };
  const next = tabs[Math.min(index, tabs.length - 1)];
  return { ...state, tabs, page: next === undefined ? { kind: 'home' } : pageOf(next) };
}

function mapPlan(state: WindowState, path: string, change: (tab: Tab & { kind: 'plan' }) => Tab): WindowState {
  return { ...state, tabs: state.tabs.map((tab) => (tab.kind === 'plan' && tab.path === path ? change(tab) : tab)) };
}

function created(state: WindowState, path: string, id: string): WindowState {
  const known = state.tabs.some((tab) => tab.kind === 'environment' && tab.id === id);
  const shown = state.page.kind === 'plan' && state.page.path === path;
  const tabs = known
    ? state.tabs.filter((tab) => !(tab.kind === 'plan' && tab.path === path))
    : state.tabs.map((tab): Tab => (tab.kind === 'plan' && tab.path === path ? { kind: 'environment', id } : tab));
  return { ...state, tabs, page: shown ? { kind: 'environment', id } : state.page };
}

/** Gives environments their tabs, and shows the first one unless the user has left the one that was forked for another. */
function forked(state: WindowState, operation: string, ids: readonly string[]): WindowState {
  const wanted = state.forking.find((one) => one.operation === operation);
  const { page } = state;
  const fromHere = wanted?.from === null || (page.kind === 'environment' && page.id === wanted?.from);
  const stays = page.kind !== 'home' && !fromHere;
  const opened = ids.reduce((next, id) => show(next, { kind: 'environment', id }), state);
  const [first] = ids;
  return {
    ...opened,
    page: first === undefined || stays ? page : { kind: 'environment', id: first },
    forking: state.forking.filter((one) => one.operation !== operation),
  };
}

function openSession(state: WindowState, action: WindowAction & { type: 'open-session' }): WindowState {
  const { prefix, vm, kind } = action;
  // A VM has one screen, but any number of shells and of views of its serial console.
  const present =
    action.again !== true && kind !== 'screen'
      ? undefined
      : state.sessions.find((one) => one.prefix === prefix && one.vm === vm && one.kind === kind);
  const dock = { open: true, view: 'terminals' } as const;
  if (present !== undefined) return { ...state, dock, session: present.id };
  const id = `${state.run}s${state.nextSession}`;
  return { ...state, dock, session: id, nextSession: state.nextSession + 1, sessions: [...state.sessions, { id, prefix, vm, kind }] };
}

function keptSessions(state: WindowState, kept: readonly TerminalSession[]): WindowState {
  const added = kept.filter((session) => !state.sessions.some((one) => one.id === session.id));
  if (added.length === 0) return state;
  const session = state.session ?? added.at(-1)?.id ?? null;
  return { ...state, dock: { ...state.dock, open: true }, session, sessions: [...state.sessions, ...added] };
}

function closeSessions(state: WindowState, gone: (session: TerminalSession) => boolean): WindowState {
  const sessions = state.sessions.filter((session) => !gone(session));
  if (sessions.length === state.sessions.length) return state;
  if (sessions.some((session) => session.id === state.session)) return { ...state, sessions };
  const index = state.sessions.findIndex((session) => session.id === state.session);
  return { ...state, sessions, session: sessions[Math.min(Math.max(index, 0), sessions.length - 1)]?.id ?? null };
}

/** Pure; ignores unknown keys. */
export function reduceWindow(state: WindowState, action: WindowAction): WindowState {
  switch (action.type) {
    case 'show':
      return show(state, action.page);
    case 'open-plan':
      return mapPlan(show(state, { kind: 'plan', path: action.path }), action.path, (tab) => ({ ...tab, dropped: tab.dropped + 1 }));
    case 'view':
      return { ...state, views: { ...state.views, [action.id]: action.view } };
    case 'sources':
      return { ...state, sources: { ...state.sources, [action.id]: action.sources } };
    case 'library':
      return { ...state, library: { ...state.library, ...action.change } };
    case 'repositories':
      return { ...state, repositories: { ...state.repositories, ...action.change } };
    case 'close-tab':
      return closeTab(state, action.key);
    case 'draft':
      return mapPlan(state, action.path, (tab) => ({ ...tab, draft: { ...tab.draft, ...action.draft } }));
    case 'creating':
      return mapPlan(state, action.path, (tab) => ({ ...tab, operation: action.operation }));
    case 'created':
      return created(state, action.path, action.id);
    case 'forking':
      return { ...state, forking: [...state.forking, action.forking] };
    case 'forked':
      return forked(state, action.operation, action.ids);
    case 'gone': {
      const closed = action.ids.reduce((next, id) => closeTab(next, `environment:${id}`), state);
      return closeSessions(closed, (session) => action.ids.includes(session.prefix));
    }
    case 'dock':
      return { ...state, dock: { open: action.open ?? state.dock.open, view: action.view ?? state.dock.view } };
    case 'open-session':
      return openSession(state, action);
    case 'kept-sessions':
      return keptSessions(state, action.sessions);
    case 'show-session':
      return { ...state, session: action.id, dock: { open: true, view: 'terminals' } };
    case 'close-session':
      return closeSessions(state, (session) => session.id === action.id);
    default:
      return action satisfies never;
  }
}

export const WindowContext = createContext<{ readonly state: WindowState; readonly dispatch: Dispatch<WindowAction> } | null>(null);

/** The window's state and its dispatch. Only for components inside the shell. */
export function useWindow(): { readonly state: WindowState; readonly dispatch: Dispatch<WindowAction> } {
  const context = use(WindowContext);
  if (context === null) throw new Error('useWindow outside of the shell');
  return context;
}
