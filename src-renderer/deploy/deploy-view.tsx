import { Button } from '@mantine/core';
import { IconPlayerPlay, IconPlayerStop, IconPlayerTrackNext, IconScript } from '@tabler/icons-react';
import { type ReactElement, useState } from 'react';
import type { PrefixState } from '../../src-shared/state.ts';
import { useCall } from '../engine-context.ts';
import { useUnreachable, useWorkBeside } from '../live-cache.ts';
import { copyText } from '../ui/copy-text.ts';
import { Empty } from '../ui/feedback/empty.tsx';
import { GuardedButton } from '../ui/guarded-button.tsx';
import styles from './deploy-view.module.css';
import { OutputPane } from './output-pane.tsx';
import { deployBlocked, isDeploying, isUnfinished, mostInteresting, unfinishedVms } from './script-status.ts';
import { type Chosen, ScriptTable } from './script-table.tsx';

const EXAMPLE = `metadata:
  deploy-scripts: [setup.sh]
`;

function NoScripts(): ReactElement {
  const [copied, setCopied] = useState(false);
  return (
    <Empty
      compact
      icon={IconScript}
      title="No deploy scripts"
      body={
        <>
          Deploy scripts set up VMs once they run. List the scripts of a VM in the init file, under <code>metadata: deploy-scripts</code>;
          they are copied when the environment is created.
        </>
      }
    >
      <Button onClick={() => void copyText(EXAMPLE).then(setCopied)}>{copied ? 'Example copied' : 'Copy an example'}</Button>
    </Empty>
  );
}

/** The deploy scripts of an environment: how each went, what it printed, and running them. */
export function DeployView(props: { readonly prefix: PrefixState }): ReactElement {
  const { prefix } = props;
  const { deploy } = prefix;
  const call = useCall();
  const unreachable = useUnreachable();
  const work = useWorkBeside(prefix.id);
  const own = work?.kind === 'deploy' ? work : undefined;
  const [picked, setPicked] = useState<Chosen | undefined>(undefined);

  if (deploy.length === 0) return <NoScripts />;
  // Until the user picks one, the view shows what is going on.
  const chosen = picked ?? mostInteresting(deploy);
  const script = deploy.find(({ vm }) => vm === chosen?.vm)?.scripts[chosen?.index ?? 0];
  const begun = own === undefined ? undefined : 'A deploy is under way';
  const blocked = (vms: readonly string[]): string | undefined => unreachable ?? begun ?? deployBlocked(prefix, vms);
  const unfinished = unfinishedVms(deploy);

  function run(input: { readonly vms?: string[]; readonly from?: string | true }): void {
    setPicked(undefined);
    void call(`Could not deploy ${prefix.name}`, (client) => client.prefix.deploy({ prefix: prefix.id, ...input }));
  }

  return (
    <div className={styles.view}>
      <div className={styles.tools}>
        <GuardedButton
          blocked={blocked(deploy.map(({ vm }) => vm))}
          variant={isUnfinished(deploy) ? 'default' : 'filled'}
          leftSection={<IconPlayerPlay size={16} stroke={1.6} />}
          onClick={() => run({})}
        >
          Run all scripts
        </GuardedButton>
        {isUnfinished(deploy) && own === undefined && (
          <GuardedButton
            blocked={blocked(unfinished)}
            variant="filled"
            leftSection={<IconPlayerTrackNext size={16} stroke={1.6} />}
            onClick={() => run({ from: true })}
          >
            Go on where it failed
          </GuardedButton>
        )}
        {own !== undefined && (
          <Button
            leftSection={<IconPlayerStop size={16} stroke={1.6} />}
            disabled={own.status === 'cancelling'}
            onClick={() => void call(`Could not cancel “${own.label}”`, (client) => client.operation.cancel({ operation: own.id }))}
          >
            {own.status === 'cancelling' ? 'Ending the scripts…' : 'Cancel the deploy'}
          </Button>
        )}
        {own === undefined && isDeploying(deploy) && <span className="dim">Another process is running them.</span>}
      </div>
      <ScriptTable
        deploy={deploy}
        selected={chosen}
        blocked={(vm) => blocked([vm])}
        onSelect={setPicked}
        onRunFrom={({ vm, index }) => run({ vms: [vm], from: String(index + 1) })}
      />
      {chosen !== undefined && script !== undefined && (
        <OutputPane key={`${chosen.vm} ${chosen.index}`} prefix={prefix.id} vm={chosen.vm} index={chosen.index} script={script} />
      )}
    </div>
  );
}
