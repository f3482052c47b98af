import { Button, SegmentedControl } from '@mantine/core';
import '@mantine/core/styles/Checkbox.css';
import '@mantine/core/styles/InlineInput.css';
import '@mantine/core/styles/Input.css';
import '@mantine/core/styles/SegmentedControl.css';
import { IconAlertTriangle, IconFolderPlus, IconPackages } from '@tabler/icons-react';
import { type DragEvent, type ReactElement, useState } from 'react';
import type { MergedPackages } from '../../src-shared/repos/merged-packages.ts';
import type { PrefixState } from '../../src-shared/state.ts';
import { useCall } from '../engine-context.ts';
import { isRunning, useOperations, useUnreachable } from '../live-cache.ts';
import { copyText } from '../ui/copy-text.ts';
import { Empty } from '../ui/feedback/empty.tsx';
import { ErrorNotice } from '../ui/feedback/error-notice.tsx';
import { GuardedButton } from '../ui/guarded-button.tsx';
import { useWindow } from '../window-state.ts';
import { AccessLog } from './access-log.tsx';
import { MergedList } from './merged-list.tsx';
import styles from './packages.module.css';
import { RepoSections } from './repo-sections.tsx';
import { ServingStrip } from './serving-strip.tsx';
import { addSources, distrosIn, droppedSources, usualSources } from './source-list.ts';
import { SourcesPane } from './sources-pane.tsx';
import { type Accesses, useAccesses } from './use-accesses.ts';
import { type Packages, usePackages } from './use-packages.ts';

const EXAMPLE = `repos:
  file: reposync-config.repo
  sources: [build]
  client: auto
  serve: true
`;

/** An environment that has nothing of packages yet: how to begin. */
function NoPackages(props: { readonly blocked: string | undefined; readonly onFolder: (path: string) => void }): ReactElement {
  const [copied, setCopied] = useState(false);
  async function choose(): Promise<void> {
    const path = await window.bridge.choosePath({ what: 'directory' });
    if (path !== null) props.onFolder(path);
  }
  return (
    <Empty
      icon={IconPackages}
      title="No packages for these VMs yet"
      body={
        <>
          Merge the packages of a build into repositories that the VMs install from: choose its folder, or drop it here. In the init file,
          the key <code>repos</code> does that for each new environment, together with the repositories of a distribution.
        </>
      }
    >
      <GuardedButton
        variant="filled"
        blocked={props.blocked}
        leftSection={<IconFolderPlus size={16} stroke={1.6} />}
        onClick={() => void choose()}
      >
        Merge a folder…
      </GuardedButton>
      <Button onClick={() => void copyText(EXAMPLE).then(setCopied)}>{copied ? 'Example copied' : 'Copy an example'}</Button>
    </Empty>
  );
}

/** What is in the repositories, and what the VMs fetched of it. */
function Contents(props: { readonly prefix: PrefixState; readonly merged: MergedPackages; readonly accesses: Accesses }): ReactElement {
  const { prefix, merged, accesses } = props;
  const [shown, setShown] = useState<'packages' | 'requests'>('packages');
  const packages = merged.repos.reduce((sum, repo) => sum + repo.packages.length, 0);
  return (
    <section className={styles.contents} aria-label="Packages and requests">
      <SegmentedControl
        className={styles.which ?? ''}
        size="xs"
        aria-label="Show"
        value={shown}
        transitionDuration={100}
        onChange={(value) => setShown(value === 'requests' ? 'requests' : 'packages')}
        data={[
          { value: 'packages', label: `Packages ${packages}` },
          { value: 'requests', label: `Requests ${accesses.lines.length}` },
        ]}
      />
      {shown === 'packages' ? <MergedList merged={merged} /> : <AccessLog vms={prefix.vms.map(({ name }) => name)} accesses={accesses} />}
    </section>
  );
}

function isBegun(merged: MergedPackages, accesses: Accesses, prefix: PrefixState): boolean {
  const declared = (merged.declared?.files.length ?? 0) + (merged.declared?.sources.length ?? 0);
  return declared + merged.repos.length + accesses.lines.length + (prefix.packages?.served.length ?? 0) > 0;
}

function View(props: { readonly prefix: PrefixState; readonly packages: Packages; readonly merged: MergedPackages }): ReactElement {
  const { prefix, packages, merged } = props;
  const { state, dispatch } = useWindow();
  const call = useCall();
  const unreachable = useUnreachable();
  const accesses = useAccesses(prefix.id);
  const merging = useOperations().some((one) => one.kind === 'merge' && one.prefix === prefix.id && isRunning(one));
  const isUnsaid = prefix.vms.every(({ distro }) => distro === null);
  const [named, setNamed] = useState<string | undefined>(undefined);
  const distros = named ?? [...new Set(merged.repos.map(({ distro }) => distro))].join(', ');
  const [refused, setRefused] = useState<string | undefined>(undefined);
  const [over, setOver] = useState(false);
  const chosen = state.sources[prefix.id];
  const sources = chosen ?? usualSources(merged);
  const { files, sources: ownSources } = merged.declared ?? { files: [], sources: [] };
  const unfit = prefix.phase === 'ready' ? unreachable : 'The environment is not ready';

  function setSources(next: readonly string[]): void {
    setRefused(undefined);
    dispatch({ type: 'sources', id: prefix.id, sources: next });
  }
  function merge(what: readonly string[]): void {
    const wanted = isUnsaid ? [...distrosIn(distros)] : [];
    void call(`Could not merge packages of ${prefix.name}`, (client) =>
      client.repos.merge({ prefix: prefix.id, sources: [...what], distros: wanted }),
    );
  }
  function onDrop(event: DragEvent): void {
    setOver(false);
    if (!event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    const items = [...event.dataTransfer.items];
    const dropped = [...event.dataTransfer.files].map((file, at) => ({
      path: window.bridge.pathOf(file),
      folder: items[at]?.webkitGetAsEntry()?.isDirectory === true,
    }));
    const { sources: added, problem } = droppedSources(dropped);
    if (added.length > 0) setSources(addSources(sources, added));
    setRefused(problem);
  }

  const empty = chosen === undefined && !merging && !isBegun(merged, accesses, prefix);
  return (
    <div
      className={styles.view}
      data-takes-files="true"
      data-over={over}
      onDragOver={(event) => setOver(event.dataTransfer.types.includes('Files'))}
      onDragLeave={() => setOver(false)}
      onDrop={onDrop}
    >
      {refused !== undefined && (
        <p className={styles.refused} role="alert">
          <IconAlertTriangle size={16} stroke={1.8} />
          {refused}
        </p>
      )}
      {empty ? (
        <NoPackages
          blocked={unfit}
          onFolder={(path) => {
            setSources([path]);
            // Otherwise the user is asked for it first.
            if (!isUnsaid) merge([path]);
          }}
        />
      ) : (
        <>
          <ServingStrip prefix={prefix} merged={merged} />
          <div className={styles.columns}>
            <div className={styles.side}>
              <SourcesPane
                prefix={prefix}
                sources={sources}
                distros={isUnsaid ? distros : undefined}
                blocked={
                  unfit ??
                  (sources.length === 0 && (files.length === 0 || ownSources.length > 0) ? 'Add a source first' : undefined) ??
                  (isUnsaid && distrosIn(distros).length === 0 ? 'Name the distributions of the VMs first' : undefined)
                }
                onSources={setSources}
                onDistros={setNamed}
                onMerge={() => merge(sources)}
              />
              {files.length > 0 && <RepoSections prefix={prefix} files={files} packages={packages} />}
            </div>
            <Contents prefix={prefix} merged={merged} accesses={accesses} />
          </div>
        </>
      )}
    </div>
  );
}

/** The packages that an environment has for its VMs: where they come from, what was merged, who serves them, and who fetched what. */
export function PackagesView(props: { readonly prefix: PrefixState }): ReactElement {
  const packages = usePackages(props.prefix);
  const { merged, problem } = packages;
  if (merged === undefined) {
    if (problem !== undefined) return <ErrorNotice title={`Could not read the packages of ${props.prefix.name}`} error={problem} />;
    return <div aria-busy="true" />;
  }
  return <View prefix={props.prefix} packages={packages} merged={merged} />;
}
