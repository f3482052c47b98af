import { Button, Checkbox } from '@mantine/core';
import '@mantine/core/styles/Checkbox.css';
import '@mantine/core/styles/InlineInput.css';
import '@mantine/core/styles/Input.css';
import { IconAlertTriangle, IconDisc, IconPlus, IconRefresh, IconSearch, IconTrash } from '@tabler/icons-react';
import { type ReactElement, Suspense, useCallback, useMemo, useRef, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { LibraryState, TemplateState, TemplateVersionState } from '../../src-shared/state.ts';
import { useCall } from '../engine-context.ts';
import { count, dots } from '../format.ts';
import { isRunning, useLibrary, useOperations, useUnreachable } from '../live-cache.ts';
import { Copyable } from '../ui/copyable.tsx';
import { Empty } from '../ui/feedback/empty.tsx';
import { GuardedButton } from '../ui/guarded-button.tsx';
import { useNow } from '../ui/hooks/use-now.ts';
import page from '../ui/list-page.module.css';
import { PageFilter } from '../ui/search-field.tsx';
import { ViewTabs } from '../ui/view-tabs.tsx';
import { type LibraryView, useWindow } from '../window-state.ts';
import { catalogue } from './catalogue.ts';
import { CatalogueTable } from './catalogue-table.tsx';
import { AddRepositoryDialog, EvictDialog, EvictUnusedDialog } from './lazy-dialogs.ts';
import styles from './library-page.module.css';
import { RepositoriesTable } from './repositories-table.tsx';

type OpenDialog =
  | { readonly kind: 'evict'; readonly template: TemplateState; readonly version: TemplateVersionState }
  | { readonly kind: 'evict-unused' | 'add' };

function useLibraryView(): { readonly view: LibraryView; readonly change: (change: Partial<LibraryView>) => void } {
  const { state, dispatch } = useWindow();
  const change = useCallback((next: Partial<LibraryView>) => dispatch({ type: 'library', change: next }), [dispatch]);
  return { view: state.library, change };
}

function Strips(props: { readonly library: LibraryState; readonly onShow: () => void }): ReactElement {
  const { library } = props;
  const broken = library.repositories.filter((repository) => repository.problem !== null);
  return (
    <>
      {library.problem !== null && (
        <p className={page.strip} data-tone="bad" role="alert">
          <IconAlertTriangle size={16} stroke={1.8} />
          <span>{library.problem} What is shown may be out of date.</span>
        </p>
      )}
      {broken.length > 0 && (
        <p className={page.strip} data-tone="warn" role="status">
          <IconAlertTriangle size={16} stroke={1.8} />
          <span className="ellipsis">
            {broken.length === 1 ? `The repository ${broken[0]?.name} cannot be used.` : `${broken.length} repositories cannot be used.`}
          </span>
          <Button size="compact-xs" variant="subtle" color="gray" onClick={props.onShow}>
            Show why
          </Button>
        </p>
      )}
    </>
  );
}

function Templates(props: { readonly library: LibraryState; readonly onDialog: (dialog: OpenDialog) => void }): ReactElement {
  const { library, onDialog } = props;
  const { view, change } = useLibraryView();
  const operations = useOperations();
  const now = useNow(true, 30_000);
  const { filter, stored, order, open } = view;
  const entries = useMemo(() => catalogue(library.templates, { text: filter, stored }, order), [library.templates, filter, stored, order]);
  const opened = useRef(open);
  opened.current = open;
  const context = useMemo(
    () => ({
      store: library.store,
      now,
      onOpen: (template: string, shown: boolean) => {
        const rest = opened.current.filter((id) => id !== template);
        change({ open: shown ? [...rest, template] : rest });
      },
      onEvict: (template: TemplateState, version: TemplateVersionState) => onDialog({ kind: 'evict', template, version }),
    }),
    [library.store, now, change, onDialog],
  );
  if (library.templates.length === 0) {
    return (
      <Empty
        icon={IconDisc}
        title="No templates yet"
        body="A template is a disk image that VMs start from. Repositories list templates: add one, and they appear here."
      >
        <Button variant="filled" leftSection={<IconPlus size={16} stroke={1.6} />} onClick={() => onDialog({ kind: 'add' })}>
          Add a repository…
        </Button>
      </Empty>
    );
  }
  return (
    <>
      <div className={page.tools}>
        <PageFilter
          label="Filter templates"
          placeholder="Filter by name, distro, environment"
          value={filter}
          onChange={(next) => change({ filter: next })}
        />
        <Checkbox
          size="xs"
          classNames={{ body: styles.check ?? '' }}
          label="In the store only"
          checked={stored}
          onChange={(event) => change({ stored: event.currentTarget.checked })}
        />
      </div>
      {entries.length > 0 ? (
        <CatalogueTable
          entries={entries}
          open={open}
          operations={operations}
          order={order}
          onOrder={(next) => change({ order: next })}
          context={context}
        />
      ) : filter.trim() === '' ? (
        <Empty
          compact
          icon={IconDisc}
          title="The store is empty"
          body="Images appear here when an environment needs them or you download them."
        >
          <Button onClick={() => change({ stored: false })}>Show all templates</Button>
        </Empty>
      ) : (
        <Empty compact icon={IconSearch} title={`No template fits “${filter.trim()}”`}>
          <Button onClick={() => change({ filter: '', stored: false })}>Clear the filter</Button>
        </Empty>
      )}
    </>
  );
}

function Repositories(props: { readonly library: LibraryState; readonly onAdd: () => void }): ReactElement {
  const { repositories, repositoriesDir } = props.library;
  const call = useCall();
  const operations = useOperations();
  const unreachable = useUnreachable();
  const [started, setStarted] = useState<string>();
  const updating = operations.some((operation) => operation.id === started && isRunning(operation));
  const none = repositories.every((repository) => repository.kind === 'built-in') ? 'No repository was added' : undefined;
  async function update(): Promise<void> {
    const answer = await call('Could not update the repositories', (client) => client.library.updateRepositories());
    setStarted(answer?.operation);
  }
  return (
    <>
      <div className={page.tools}>
        <span className="dim ellipsis">
          Added ones are kept in <Copyable text={repositoriesDir} what="folder of added repositories" />
        </span>
        <span className={page.space} />
        <GuardedButton
          blocked={unreachable ?? (updating ? 'The update is under way' : none)}
          leftSection={<IconRefresh size={16} stroke={1.6} />}
          onClick={() => void update()}
        >
          {updating ? 'Updating…' : 'Update repositories'}
        </GuardedButton>
        <GuardedButton blocked={unreachable} leftSection={<IconPlus size={16} stroke={1.6} />} onClick={props.onAdd}>
          Add repository…
        </GuardedButton>
      </div>
      <RepositoriesTable repositories={repositories} />
    </>
  );
}

/** The templates that VMs start from: what is available, what is stored, which environments use it, and the repositories. */
export function LibraryPage(): ReactElement {
  const library = useLibrary();
  const unreachable = useUnreachable();
  const { view, change } = useLibraryView();
  const [dialog, setDialog] = useState<OpenDialog | null>(null);
  const close = useCallback(() => setDialog(null), []);
  const added = useCallback(() => {
    setDialog(null);
    change({ view: 'repositories' });
  }, [change]);
  const images = library?.templates.flatMap((template) => template.versions.filter((version) => version.cached)) ?? [];
  return (
    <div className={page.page} aria-busy={library === undefined}>
      <header className={page.header}>
        <div className={page.identity}>
          <h1>Library</h1>
          <div className={page.facts}>
            {library !== undefined && (
              <>
                <span>
                  {images.length === 0
                    ? 'Nothing in the store yet'
                    : dots(
                        `${count(images.length, 'image')} in the store`,
                        formatBytes(library.size),
                        library.unused > 0 && `${formatBytes(library.unused)} unused`,
                      )}
                </span>
                <span className={page.store}>
                  <Copyable text={library.store} what="path of the store" />
                </span>
              </>
            )}
          </div>
        </div>
        {library !== undefined && (
          <div className={page.actions}>
            <GuardedButton
              blocked={unreachable ?? (library.unused === 0 ? 'Nothing in the store is unused' : undefined)}
              leftSection={<IconTrash size={16} stroke={1.6} />}
              onClick={() => setDialog({ kind: 'evict-unused' })}
            >
              Evict unused…
            </GuardedButton>
          </div>
        )}
      </header>
      {library !== undefined && (
        <>
          <Strips library={library} onShow={() => change({ view: 'repositories' })} />
          <ViewTabs
            label="Views of the library"
            active={view.view}
            onChange={(next) => change({ view: next })}
            views={[
              { id: 'templates', title: 'Templates', count: library.templates.length },
              { id: 'repositories', title: 'Repositories', count: library.repositories.length },
            ]}
          />
          <div role="tabpanel">
            {view.view === 'templates' ? (
              <Templates library={library} onDialog={setDialog} />
            ) : (
              <Repositories library={library} onAdd={() => setDialog({ kind: 'add' })} />
            )}
          </div>
        </>
      )}
      <Suspense fallback={null}>
        {dialog?.kind === 'evict' && <EvictDialog template={dialog.template} version={dialog.version} onClose={close} />}
        {dialog?.kind === 'evict-unused' && library !== undefined && <EvictUnusedDialog library={library} onClose={close} />}
        {dialog?.kind === 'add' && <AddRepositoryDialog onClose={close} onAdded={added} />}
      </Suspense>
    </div>
  );
}
