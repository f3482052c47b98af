import { lazy, type ReactElement, Suspense, useCallback, useEffect, useEffectEvent, useMemo, useReducer, useRef, useState } from 'react';
import { isBridgeMessage } from '../src-shared/bridge.ts';
import type { WireError } from '../src-shared/errors.ts';
import { SNAPSHOT_MANIFEST } from '../src-shared/snapshot/exported-snapshot.ts';
import styles from './app.module.css';
import { type EngineConnection, readError } from './engine-client.ts';
import { EngineContext, type EngineContextValue, type Notice, type Result } from './engine-context.ts';
import { HomePage } from './environments/home-page.tsx';
import { ResumeDialog } from './environments/lazy-dialogs.ts';
import { keepDockSize, keepTabs, readKept } from './kept-state.ts';
import { isRunning, useConnection, useOperations, usePrefixes } from './live-cache.ts';
import { Announcer } from './shell/announcer.tsx';
import { useCrashNotices } from './shell/crash-notices.ts';
import { Dock } from './shell/dock.tsx';
import { DockSplit } from './shell/dock-split.tsx';
import { type Dropped, DropZone } from './shell/drop-zone.tsx';
import { useExpectedResults } from './shell/expected-results.ts';
import { keepFocus } from './shell/keep-focus.ts';
import { LostBanner } from './shell/lost-banner.tsx';
import { Notices } from './shell/notices.tsx';
import { Rail } from './shell/rail.tsx';
import { StatusBar } from './shell/status-bar.tsx';
import { TabBar } from './shell/tab-bar.tsx';
import { useForkTabs } from './shell/use-fork-tabs.ts';
import type { Resumable } from './snapshots/dialogs/resume-dialog.tsx';
import { useKeptSessions } from './terminals/use-kept-sessions.ts';
import {
  initialWindow,
  keyOf,
  type Page,
  reduceWindow,
  type Tab,
  type WindowAction,
  WindowContext,
  type WindowState,
} from './window-state.ts';

const pages = {
  environment: () => import('./environments/environment-page.tsx'),
  plan: () => import('./plan/plan-page.tsx'),
  library: () => import('./library/library-page.tsx'),
  repositories: () => import('./package-repos/package-repos-page.tsx'),
  machine: () => import('./machine/machine-page.tsx'),
  terminals: () => import('./terminals/terminals.tsx'),
  menu: () => import('./ui/menu/menu-body.tsx'),
  destroy: () => import('./environments/destroy-dialog.tsx'),
  export: () => import('./environments/export-dialog.tsx'),
} as const;
const EnvironmentPage = lazy(async () => ({ default: (await pages.environment()).EnvironmentPage }));
const PlanPage = lazy(async () => ({ default: (await pages.plan()).PlanPage }));
const LibraryPage = lazy(async () => ({ default: (await pages.library()).LibraryPage }));
const PackageReposPage = lazy(async () => ({ default: (await pages.repositories()).PackageReposPage }));
const MachinePage = lazy(async () => ({ default: (await pages.machine()).MachinePage }));
const ClosingDialog = lazy(async () => ({ default: (await import('./shell/closing-dialog.tsx')).ClosingDialog }));
const KeysDialog = lazy(async () => ({ default: (await import('./shell/keys-dialog.tsx')).KeysDialog }));

function PageView(props: { readonly page: Page; readonly onOpenFile: () => void }): ReactElement {
  const { page } = props;
  switch (page.kind) {
    case 'home':
      return <HomePage onOpenFile={props.onOpenFile} />;
    case 'library':
      return <LibraryPage />;
    case 'repositories':
      return <PackageReposPage />;
    case 'machine':
      return <MachinePage />;
    case 'plan':
      return <PlanPage key={page.path} path={page.path} />;
    case 'environment':
      return <EnvironmentPage key={page.id} id={page.id} />;
    default:
      return page satisfies never;
  }
}

function pageOfTab(tab: Tab | undefined): Page {
  if (tab === undefined) return { kind: 'home' };
  return tab.kind === 'plan' ? { kind: 'plan', path: tab.path } : tab;
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    target.closest('input, textarea, [contenteditable], [data-testid="terminal"], [data-testid="screen"]') !== null
  );
}

/** Window-wide shortcuts. A focused terminal leaves only Ctrl+` and the tab keys to them. */
function useWindowKeys(state: WindowState, dispatch: (action: WindowAction) => void, onOpenFile: () => void, onKeys: () => void): void {
  const onKeyDown = useEffectEvent((event: KeyboardEvent) => {
    const index = state.tabs.findIndex((tab) => keyOf(tab) === keyOf(state.page));
    const count = state.tabs.length;
    function show(tab: Tab | undefined): void {
      if (tab !== undefined) dispatch({ type: 'show', page: pageOfTab(tab) });
    }
    if (event.ctrlKey && event.key === '`') dispatch({ type: 'dock', open: !state.dock.open });
    else if (event.ctrlKey && event.key === 'PageDown') show(state.tabs[(index + 1) % Math.max(1, count)]);
    else if (event.ctrlKey && event.key === 'PageUp') show(state.tabs[(index - 1 + count) % Math.max(1, count)] ?? state.tabs.at(-1));
    else if (isTyping(event.target)) return;
    else if (event.ctrlKey && event.key === 'o') onOpenFile();
    else if (event.altKey && /^[1-9]$/.test(event.key)) show(state.tabs[Number(event.key) - 1]);
    else if (event.key === '?' && !event.ctrlKey && !event.altKey) onKeys();
    else return;
    event.preventDefault();
  });
  useEffect(() => {
    const listener = (event: KeyboardEvent): void => onKeyDown(event);
    window.addEventListener('keydown', listener);
    return () => window.removeEventListener('keydown', listener);
  }, []);
}

/** Preloads the code of the other pages once the first one is shown, so that they open at once. */
function usePrefetch(): void {
  useEffect(() => {
    const handle = requestIdleCallback(() => Object.values(pages).forEach((load) => void load()), { timeout: 4_000 });
    return () => cancelIdleCallback(handle);
  }, []);
}

/** Closes tabs and sessions of removed environments, and replaces plans by the environments created from them. */
function useFollowEngine(state: WindowState, dispatch: (action: WindowAction) => void): void {
  const prefixes = usePrefixes();
  const operations = useOperations();
  const connected = useConnection().status === 'connected';
  const known = useRef<ReadonlySet<string>>(new Set());
  useEffect(() => {
    // State remembered from an earlier run must not close anything.
    if (prefixes === undefined || !connected) return;
    const present = new Set(prefixes.map((prefix) => prefix.id));
    const stale = state.tabs.flatMap((tab) => (tab.kind === 'environment' && !present.has(tab.id) ? [tab.id] : []));
    const gone = [...new Set([...known.current, ...stale])].filter((id) => !present.has(id));
    known.current = present;
    if (gone.length > 0) dispatch({ type: 'gone', ids: gone });
    keepTabs(state.tabs.flatMap((tab) => (tab.kind === 'environment' && present.has(tab.id) ? [tab.id] : [])));
  }, [prefixes, connected, state.tabs, dispatch]);
  useEffect(() => {
    for (const tab of state.tabs) {
      if (tab.kind !== 'plan' || tab.operation === null) continue;
      const operation = operations.find((one) => one.id === tab.operation);
      const prefix = prefixes?.find((one) => one.id === operation?.prefix);
      // An incomplete environment stays in its plan, where the user can fix the failure.
      if (prefix !== undefined && prefix.phase === 'ready') dispatch({ type: 'created', path: tab.path, id: prefix.id });
    }
  }, [prefixes, operations, state.tabs, dispatch]);
}

/** The window: the shell around the current page, and requests from outside (drops, second starts, closing). */
export function App(props: { readonly connection: EngineConnection }): ReactElement {
  const { connection } = props;
  const kept = useMemo(readKept, []);
  const [state, dispatch] = useReducer(reduceWindow, kept, ({ environments }) =>
    initialWindow(environments, false, crypto.randomUUID().slice(0, 8)),
  );
  const [notices, setNotices] = useState<readonly Notice[]>([]);
  const [closing, setClosing] = useState(false);
  const [keys, setKeys] = useState(false);
  const [resumable, setResumable] = useState<Resumable | null>(null);
  const [dockSize, setDockSize] = useState(kept.dockSize);
  const operations = useOperations();
  const connected = useConnection().status === 'connected';

  const notify = useCallback((title: string, error: WireError) => {
    setNotices((list) => [...list.slice(-2), { id: (list.at(-1)?.id ?? 0) + 1, title, error }]);
  }, []);
  const showResult = useCallback((result: Result) => {
    setNotices((list) => [...list.slice(-2), { id: (list.at(-1)?.id ?? 0) + 1, ...result }]);
  }, []);
  const expect = useExpectedResults(showResult);
  const engine = useMemo<EngineContextValue>(() => ({ connection, notify, expect }), [connection, notify, expect]);
  const windowContext = useMemo(() => ({ state, dispatch }), [state]);

  const openPlan = useCallback((path: string) => dispatch({ type: 'open-plan', path }), []);
  const openFile = async (): Promise<void> => {
    const path = await window.bridge.choosePath({ what: 'init file' });
    if (path !== null) openPath(path, false);
  };

  async function openFolder(path: string): Promise<void> {
    try {
      const { exported } = await connection.client.prefix.exportedSnapshot({ path });
      if (exported !== null) {
        const { workdir } = await connection.client.app.info();
        setResumable({ folder: path, exported, workdir });
        return;
      }
      const { prefixes } = await connection.client.prefix.open({ path });
      for (const id of prefixes) dispatch({ type: 'show', page: { kind: 'environment', id } });
    } catch (error) {
      const wire = readError(error);
      // The path may be an exported environment or any folder with an init file.
      if (wire.code === 'prefix.missing') openPlan(path);
      else notify('Could not open the folder', wire);
    }
  }

  function openPath(path: string, folder: boolean): void {
    if (folder) void openFolder(path);
    else if (path.endsWith(`/${SNAPSHOT_MANIFEST}`)) void openFolder(path.slice(0, -SNAPSHOT_MANIFEST.length - 1));
    else openPlan(path);
  }

  function onDrop(dropped: readonly Dropped[]): void {
    for (const { file, folder } of dropped) {
      const path = window.bridge.pathOf(file);
      if (path === '')
        notify(`Could not open ${file.name}`, {
          code: 'input.missing-file',
          message: 'What was dropped is not a file on this machine.',
          hint: 'Save it first, then drop the file.',
          details: {},
        });
      else openPath(path, folder);
    }
  }

  async function leave(choice: 'keep' | 'cancel' | 'stay'): Promise<void> {
    setClosing(false);
    try {
      await connection.client.app.leave({ choice });
    } catch (error) {
      notify('Could not close the window', readError(error));
    }
  }

  const onOpen = useEffectEvent((path: string) => openPath(path, false));
  useEffect(() => {
    function onMessage(event: MessageEvent<unknown>): void {
      if (event.source !== window || !isBridgeMessage(event.data)) return;
      if (event.data.lago === 'closing') setClosing(true);
      else if (event.data.lago === 'open') onOpen(event.data.path);
    }
    window.addEventListener('message', onMessage);
    return () => window.removeEventListener('message', onMessage);
  }, []);

  // `npm start -- FILE`: read once, after the first connection.
  const asked = useRef(false);
  useEffect(() => {
    if (!connected || asked.current) return;
    asked.current = true;
    async function openAtStart(): Promise<void> {
      try {
        const { open } = await connection.client.app.info();
        if (open !== null) openPlan(open);
      } catch (error) {
        notify('Could not ask the engine what to open', readError(error));
      }
    }
    void openAtStart();
  }, [connected, connection, openPlan, notify]);

  useEffect(keepFocus, []);
  usePrefetch();
  useCrashNotices(notify);
  useFollowEngine(state, dispatch);
  useForkTabs(state.forking, dispatch);
  useKeptSessions(connection, state.sessions, dispatch);
  useWindowKeys(
    state,
    dispatch,
    () => void openFile(),
    () => setKeys(true),
  );
  const onFailed = useCallback(() => dispatch({ type: 'dock', open: true, view: 'tasks' }), []);

  return (
    <EngineContext value={engine}>
      <WindowContext value={windowContext}>
        <div className={styles.shell} data-testid="shell" data-connected={connected}>
          <Rail />
          <div className={styles.middle}>
            <TabBar onOpenFile={() => void openFile()} />
            <LostBanner onRetry={() => connection.retry()} />
            <DockSplit
              open={state.dock.open}
              size={dockSize}
              onOpen={(open) => dispatch({ type: 'dock', open })}
              onSize={(size) => {
                setDockSize(size);
                keepDockSize(size);
              }}
              page={
                <main id="page" className={styles.page}>
                  <Suspense fallback={<div aria-busy="true" />}>
                    <PageView page={state.page} onOpenFile={() => void openFile()} />
                  </Suspense>
                </main>
              }
              dock={<Dock />}
            />
          </div>
          <StatusBar />
        </div>
        <Notices notices={notices} onDismiss={(id) => setNotices((list) => list.filter((notice) => notice.id !== id))} />
        <Announcer onFailed={onFailed} />
        <DropZone onDrop={onDrop} />
        <Suspense fallback={null}>
          {closing && <ClosingDialog operations={operations.filter(isRunning)} onChoose={(choice) => void leave(choice)} />}
          {resumable !== null && <ResumeDialog key={resumable.folder} resumable={resumable} onClose={() => setResumable(null)} />}
          {keys && <KeysDialog onClose={() => setKeys(false)} />}
        </Suspense>
      </WindowContext>
    </EngineContext>
  );
}
