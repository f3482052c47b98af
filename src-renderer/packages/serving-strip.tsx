import { Button, Switch } from '@mantine/core';
import '@mantine/core/styles/Switch.css';
import { IconBroadcast, IconCircleOff } from '@tabler/icons-react';
import { type ReactElement, useState } from 'react';
import type { WireError } from '../../src-shared/errors.ts';
import type { MergedPackages, RepoClient } from '../../src-shared/repos/merged-packages.ts';
import type { ServedBy, ServedState } from '../../src-shared/repos/packages-state.ts';
import type { PrefixState } from '../../src-shared/state.ts';
import { readError } from '../engine-client.ts';
import { useEngine } from '../engine-context.ts';
import { useUnreachable } from '../live-cache.ts';
import { copyText } from '../ui/copy-text.ts';
import { Copyable } from '../ui/copyable.tsx';
import { Disclosure } from '../ui/disclosure.tsx';
import { ErrorNotice } from '../ui/feedback/error-notice.tsx';
import { StateMark } from '../ui/feedback/state-mark.tsx';
import { Tip } from '../ui/feedback/tip.tsx';
import styles from './packages.module.css';

/** How long each goes on. */
const UNTIL: Readonly<Record<ServedBy, string>> = {
  window: 'by a window, until it is closed or the environment stops',
  command: 'by “lago repo serve” in another process',
  deploy: 'while scripts are deployed',
  environment: 'as long as the environment runs',
};

/** Why the switch cannot be used now. */
function blockedReason(prefix: PrefixState, merged: MergedPackages, served: readonly ServedState[]): string | undefined {
  if (served.length > 0)
    return served.every(({ by }) => by === 'deploy') ? 'The deploy serves them until its scripts have ended' : undefined;
  if (merged.problem !== null) return merged.problem;
  if (prefix.host.status !== 'up') return 'Start the environment first: its networks are down';
  return merged.repos.length === 0 ? 'Merge packages first' : undefined;
}

function Client(props: { readonly client: RepoClient }): ReactElement {
  const { distro, path, content } = props.client;
  const [copied, setCopied] = useState(false);
  const guests = distro === '' ? 'VMs' : `${distro} VMs`;
  return (
    <li className={styles.client}>
      <div className={styles.clientHead}>
        <h2>For {guests}</h2>
        <Copyable text={path} what="path" />
        <span className={styles.space} />
        <Button
          size="compact-xs"
          variant="subtle"
          color="gray"
          aria-label={`Copy the file for ${guests}`}
          onClick={() => void copyText(content).then(setCopied)}
        >
          {copied ? 'Copied' : 'Copy'}
        </Button>
      </div>
      <pre>{content.trimEnd()}</pre>
    </li>
  );
}

/** Whether the packages are served and by whom, with the switch for it, the address, and what VMs need to use them. */
export function ServingStrip(props: { readonly prefix: PrefixState; readonly merged: MergedPackages }): ReactElement {
  const { prefix, merged } = props;
  const { connection } = useEngine();
  const unreachable = useUnreachable();
  const [error, setError] = useState<{ readonly title: string; readonly error: WireError } | undefined>(undefined);
  const [changing, setChanging] = useState<boolean | undefined>(undefined);
  const served = prefix.packages?.served ?? [];
  const blocked = unreachable ?? blockedReason(prefix, merged, served);
  const on = served.length > 0;

  async function change(wanted: boolean): Promise<void> {
    setError(undefined);
    setChanging(wanted);
    try {
      if (wanted) await connection.client.repos.serve({ prefix: prefix.id });
      else await connection.client.repos.stopServing({ prefix: prefix.id });
    } catch (failure) {
      setError({ title: wanted ? 'Could not serve the packages' : 'Could not stop serving', error: readError(failure) });
    } finally {
      setChanging(undefined);
    }
  }

  return (
    <section className={styles.serving} aria-label="Serving">
      <div className={styles.servingRow}>
        <Tip label={blocked}>
          <Switch
            size="xs"
            label="Serve to the VMs"
            checked={on}
            aria-disabled={blocked !== undefined || changing !== undefined}
            onChange={(event) => {
              if (blocked === undefined && changing === undefined) void change(event.currentTarget.checked);
            }}
          />
        </Tip>
        <span className={styles.servingState} aria-live="polite">
          {on ? (
            served.map(({ url, by }) => (
              <span key={url} className={styles.address}>
                <StateMark tone="ok" icon={IconBroadcast}>
                  Served at
                </StateMark>
                <Copyable text={url} what="address" />
                <span className="dim">{UNTIL[by]}</span>
              </span>
            ))
          ) : (
            <StateMark tone="off" icon={IconCircleOff}>
              {changing === true ? 'Starting the server…' : (blocked ?? 'Not served')}
            </StateMark>
          )}
        </span>
        <span className={styles.space} />
        {merged.declared?.client === 'auto' && <span className="dim">The VMs are told of them by themselves.</span>}
      </div>
      {error !== undefined && <ErrorNotice title={error.title} error={error.error} onDismiss={() => setError(undefined)} />}
      {merged.clients.length > 0 && (
        <Disclosure summary="What VMs need to use them" className={styles.clients}>
          <ul>
            {merged.clients.map((client) => (
              <Client key={`${client.distro} ${client.kind}`} client={client} />
            ))}
          </ul>
        </Disclosure>
      )}
    </section>
  );
}
