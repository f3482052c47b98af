import { Button, SegmentedControl, Switch, TextInput } from '@mantine/core';
import '@mantine/core/styles/FloatingIndicator.css';
import '@mantine/core/styles/InlineInput.css';
import '@mantine/core/styles/Input.css';
import '@mantine/core/styles/SegmentedControl.css';
import '@mantine/core/styles/Switch.css';
import { IconFileCode, IconPlayerPlay, IconRefresh } from '@tabler/icons-react';
import { type ReactElement, useCallback, useEffect, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { Inspection } from '../../src-shared/contract.ts';
import type { WireError } from '../../src-shared/errors.ts';
import type { HostChoice } from '../../src-shared/host/host-choice.ts';
import { readError } from '../engine-client.ts';
import { useCall, useEngine } from '../engine-context.ts';
import { baseName, count, formatMemory } from '../format.ts';
import { useConnection, useMachine, useOperations, usePrefixes } from '../live-cache.ts';
import { TaskCard } from '../tasks/task-card.tsx';
import { ErrorNotice } from '../ui/feedback/error-notice.tsx';
import { ProgressBar } from '../ui/feedback/progress-bar.tsx';
import { Tip } from '../ui/feedback/tip.tsx';
import { EMPTY_DRAFT, type PlanDraft, useWindow } from '../window-state.ts';
import { Issues } from './issues.tsx';
import { allAllowed } from './outside.ts';
import { OutsideQuestion } from './outside-question.tsx';
import { environmentNameProblem, machineProblem, workdirProblem } from './plan-name.ts';
import styles from './plan-page.module.css';
import { Downloads, PlannedNets, PlannedVms } from './plan-tables.tsx';

function hostOf(draft: PlanDraft): HostChoice {
  const uplink = draft.internet ? 'auto' : 'none';
  if (draft.host === 'system') return { kind: 'system', uri: draft.uri };
  // Until the address is one, the plan is the same as for a host of this machine.
  if (draft.host === 'remote' && machineProblem(draft.machine) === undefined) return { kind: 'remote', uri: draft.machine, uplink };
  return { kind: 'embedded', uplink };
}

/** A counter that increases when watching begins, each time the file is saved or dropped again, and on `reload`. */
function useRounds(path: string, dropped: number): { readonly round: number; readonly reload: () => void } {
  const { connection, notify } = useEngine();
  const connected = useConnection().status === 'connected';
  const [round, setRound] = useState(0);
  const reload = useCallback(() => setRound((count) => count + 1), []);
  useEffect(() => {
    if (!connected) return undefined;
    const stop = new AbortController();
    async function follow(): Promise<void> {
      try {
        for await (const _change of await connection.client.initFile.changes({ path }, { signal: stop.signal })) reload();
      } catch (cause) {
        if (stop.signal.aborted) return;
        // The file can be read even if it cannot be watched.
        reload();
        const error = readError(cause);
        if (error.code !== 'not-available') notify(`Could not watch ${baseName(path)}`, error);
      }
    }
    void follow();
    return () => stop.abort();
  }, [connection, connected, path, reload, notify]);
  useEffect(() => {
    if (dropped > 0) reload();
  }, [dropped, reload]);
  return { round, reload };
}

/** The engine's plan for the file with this host and these allowed files; updated when any of them changes or `reload` is called. */
function useInspection(
  path: string,
  host: HostChoice,
  allowPaths: readonly string[],
  dropped: number,
): { readonly inspection: Inspection | undefined; readonly error: WireError | undefined; readonly reload: () => void } {
  const { connection } = useEngine();
  const connected = useConnection().status === 'connected';
  const [inspection, setInspection] = useState<Inspection>();
  const [error, setError] = useState<WireError>();
  const { round, reload } = useRounds(path, dropped);
  const choice = JSON.stringify({ host, allowPaths });
  useEffect(() => {
    // Start watching before reading, so that no change is missed in between.
    if (!connected || round === 0) return undefined;
    let gone = false;
    async function inspect(): Promise<void> {
      try {
        const answer = await connection.client.initFile.inspect({
          path,
          ...(JSON.parse(choice) as { host: HostChoice; allowPaths: string[] }),
        });
        if (gone) return;
        setInspection(answer);
        setError(undefined);
      } catch (cause) {
        if (!gone) setError(readError(cause));
      }
    }
    void inspect();
    return () => {
      gone = true;
    };
  }, [connection, connected, path, choice, round]);
  return { inspection, error, reload };
}

function Need(props: { readonly label: string; readonly need: string; readonly free: string; readonly share: number }): ReactElement {
  const tight = props.share > 1;
  return (
    <div className={styles.need}>
      <span>{props.label}</span>
      <span>
        {props.need} <span className="faint">of {props.free} free</span>
      </span>
      <ProgressBar
        fraction={props.share}
        label={`${props.label} needed of what is free`}
        tone={tight ? 'bad' : props.share > 0.85 ? 'warn' : 'accent'}
      />
      {tight && <span className={styles.tight}>More than is free: guests may be slow or fail to start.</span>}
    </div>
  );
}

function Settings(props: {
  readonly inspection: Inspection;
  readonly draft: PlanDraft;
  readonly name: string;
  readonly workdir: string;
  readonly nameProblem: string | undefined;
  readonly onChange: (draft: Partial<PlanDraft>) => void;
}): ReactElement {
  const { draft, inspection, onChange } = props;
  const machine = useMachine();
  return (
    <>
      <section className={styles.group} aria-label="Environment">
        <TextInput
          label={<span title="Lago calls an environment a prefix">Name</span>}
          aria-label="Environment name"
          classNames={{ input: 'mono' }}
          value={props.name}
          error={props.nameProblem}
          spellCheck={false}
          autoComplete="off"
          onChange={(event) => onChange({ name: event.currentTarget.value })}
        />
        <TextInput
          label="Workdir"
          aria-label="Workdir"
          classNames={{ input: 'mono' }}
          value={props.workdir}
          error={workdirProblem(props.workdir)}
          spellCheck={false}
          autoComplete="off"
          onChange={(event) => onChange({ workdir: event.currentTarget.value })}
        />
      </section>
      <section className={styles.group} aria-label="Host">
        <h3>Runs on</h3>
        <SegmentedControl
          fullWidth
          size="xs"
          aria-label="Host"
          value={draft.host}
          onChange={(host) => onChange({ host: host === 'system' || host === 'remote' ? host : 'embedded' })}
          data={[
            { value: 'embedded', label: 'Embedded' },
            { value: 'remote', label: 'Remote' },
            { value: 'system', label: 'System libvirt' },
          ]}
          transitionDuration={100}
        />
        {draft.host !== 'system' ? (
          <>
            <p className={styles.note}>
              {draft.host === 'remote'
                ? 'A private libvirt for this environment alone, on another machine. Its disks are sent there.'
                : 'A private libvirt for this environment alone: nothing to set up, no clash with others.'}
            </p>
            {draft.host === 'remote' && (
              <TextInput
                label="Machine"
                aria-label="Machine"
                classNames={{ input: 'mono' }}
                placeholder="ssh://user@machine"
                value={draft.machine}
                error={draft.machine === EMPTY_DRAFT.machine ? undefined : machineProblem(draft.machine)}
                spellCheck={false}
                onChange={(event) => onChange({ machine: event.currentTarget.value })}
              />
            )}
            <Switch
              size="xs"
              label="Internet access for guests"
              checked={draft.internet}
              onChange={(event) => onChange({ internet: event.currentTarget.checked })}
            />
          </>
        ) : (
          <>
            <p className={styles.note}>The libvirt of this machine; its networks and VMs are visible to other tools.</p>
            <TextInput
              label="URI"
              aria-label="libvirt URI"
              classNames={{ input: 'mono' }}
              value={draft.uri}
              spellCheck={false}
              onChange={(event) => onChange({ uri: event.currentTarget.value })}
            />
          </>
        )}
      </section>
      <section className={styles.group} aria-label="Needs">
        <h3>Needs</h3>
        {/* What is free here says nothing about another machine. */}
        {machine === undefined || draft.host === 'remote' ? (
          <p className="dim">
            {formatMemory(inspection.memory)} memory, {formatBytes(inspection.disk)} disk
          </p>
        ) : (
          <>
            <Need
              label="Memory"
              need={formatMemory(inspection.memory)}
              free={formatBytes(machine.memoryFree)}
              share={(inspection.memory * 1024 * 1024) / Math.max(1, machine.memoryFree)}
            />
            <Need
              label="Disk"
              need={formatBytes(inspection.disk)}
              free={formatBytes(machine.diskFree)}
              share={inspection.disk / Math.max(1, machine.diskFree)}
            />
          </>
        )}
      </section>
      {inspection.plan !== undefined && inspection.plan.downloads.length > 0 && <Downloads downloads={inspection.plan.downloads} />}
    </>
  );
}

/** What an init file would create; after "Create", the task that creates it. */
export function PlanPage(props: { readonly path: string }): ReactElement {
  const { path } = props;
  const { state, dispatch } = useWindow();
  const call = useCall();
  const prefixes = usePrefixes();
  const operations = useOperations();
  const tab = state.tabs.find((one) => one.kind === 'plan' && one.path === path);
  const draft = tab?.kind === 'plan' ? tab.draft : EMPTY_DRAFT;
  const creating =
    tab?.kind === 'plan' && tab.operation !== null ? operations.find((operation) => operation.id === tab.operation) : undefined;
  const { inspection, error, reload } = useInspection(path, hostOf(draft), draft.allowPaths, tab?.kind === 'plan' ? tab.dropped : 0);
  const [asking, setAsking] = useState(false);

  const name = draft.name ?? inspection?.name ?? '';
  const workdir = draft.workdir ?? inspection?.workdir ?? '';
  const nameProblem = inspection === undefined ? undefined : environmentNameProblem(name, workdir, prefixes ?? []);
  // Files that need consent have a question of their own.
  const issues = inspection?.issues.filter((issue) => issue.about !== 'consent') ?? [];
  const errors = issues.filter((issue) => issue.severity === 'error').length;
  const allowed = allAllowed(inspection?.outside ?? [], draft.allowPaths);
  const reason =
    inspection === undefined
      ? 'Reading the file'
      : errors > 0 || inspection.plan === undefined
        ? `${count(Math.max(1, errors), 'error')} to fix first`
        : allowed
          ? (nameProblem ?? workdirProblem(workdir) ?? (draft.host === 'remote' ? machineProblem(draft.machine) : undefined))
          : 'A question about files to answer first';
  const underWay = creating !== undefined && (creating.status === 'running' || creating.status === 'cancelling');

  async function create(start: boolean): Promise<void> {
    if (reason !== undefined || asking) return;
    setAsking(true);
    const answer = await call(`Could not create ${name}`, (client) =>
      client.prefix.create({ initFile: path, workdir, name, start, host: hostOf(draft), allowPaths: [...draft.allowPaths] }),
    );
    setAsking(false);
    if (answer !== undefined) dispatch({ type: 'creating', path, operation: answer.operation });
  }

  return (
    <div className={styles.page}>
      <header className={styles.header}>
        <IconFileCode size={24} stroke={1.4} className={styles.fileIcon ?? ''} />
        <div className={styles.title}>
          <h1 className="ellipsis">{baseName(path)}</h1>
          <p className="mono faint ellipsis" title={path}>
            {path}
          </p>
        </div>
        {reason !== undefined && inspection !== undefined && !underWay && (
          <span className={styles.reason} data-bad={errors > 0} id="plan-reason">
            {reason}
          </span>
        )}
        {!underWay && (
          <>
            <Button variant="subtle" color="gray" onClick={() => dispatch({ type: 'close-tab', key: `plan:${path}` })}>
              Cancel
            </Button>
            <Tip label="Read the file again">
              <Button leftSection={<IconRefresh size={16} stroke={1.6} />} onClick={reload}>
                Reload
              </Button>
            </Tip>
            <Button disabled={reason !== undefined} loading={asking} aria-describedby="plan-reason" onClick={() => void create(false)}>
              Create only
            </Button>
            <Button
              variant="filled"
              disabled={reason !== undefined}
              loading={asking}
              aria-describedby="plan-reason"
              leftSection={<IconPlayerPlay size={16} stroke={1.6} />}
              onClick={() => void create(true)}
            >
              Create and start
            </Button>
          </>
        )}
      </header>
      {creating !== undefined && creating.status !== 'succeeded' && (
        <div className={styles.task}>
          <TaskCard
            operation={creating}
            open
            onCancel={() =>
              void call(`Could not cancel “${creating.label}”`, (client) => client.operation.cancel({ operation: creating.id }))
            }
          />
        </div>
      )}
      {error !== undefined && <ErrorNotice title={`Could not read ${baseName(path)}`} error={error} onRetry={reload} />}
      {inspection !== undefined && (
        <div className={styles.columns} inert={underWay}>
          <div className={styles.main}>
            <Issues issues={issues} />
            <OutsideQuestion
              outside={inspection.outside}
              allowed={allowed}
              onChange={(yes) =>
                dispatch({ type: 'draft', path, draft: { allowPaths: yes ? inspection.outside.map((file) => file.path) : [] } })
              }
            />
            {inspection.plan !== undefined && (
              <>
                <PlannedVms plan={inspection.plan} />
                <PlannedNets plan={inspection.plan} />
              </>
            )}
          </div>
          <aside className={styles.side} aria-label="Choices">
            <Settings
              inspection={inspection}
              draft={draft}
              name={name}
              workdir={workdir}
              nameProblem={nameProblem}
              onChange={(change) => dispatch({ type: 'draft', path, draft: change })}
            />
          </aside>
        </div>
      )}
    </div>
  );
}
