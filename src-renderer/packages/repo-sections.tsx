import { IconCircleCheck, IconCircleMinus, IconRefresh } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import type { ExplainedSection } from '../../src-shared/repos/package-repos.ts';
import type { PrefixState } from '../../src-shared/state.ts';
import { useCall } from '../engine-context.ts';
import { baseName } from '../format.ts';
import { isRunning, useUnreachable } from '../live-cache.ts';
import { Issues } from '../plan/issues.tsx';
import { ErrorNotice } from '../ui/feedback/error-notice.tsx';
import { StateMark } from '../ui/feedback/state-mark.tsx';
import { GuardedButton } from '../ui/guarded-button.tsx';
import { PackageTask, usePackageTask } from './package-task.tsx';
import styles from './packages.module.css';
import type { Packages } from './use-packages.ts';

function Section(props: { readonly section: ExplainedSection }): ReactElement {
  const { id, used, reason, baseurl, excludes } = props.section;
  return (
    <li className={styles.section} data-used={used}>
      <div className={styles.sectionHead}>
        <span className="mono ellipsis" title={id}>
          {id}
        </span>
        <span className={styles.space} />
        <StateMark tone={used ? 'ok' : 'off'} icon={used ? IconCircleCheck : IconCircleMinus}>
          {used ? 'used' : 'not used'}
        </StateMark>
      </div>
      <p className="dim">{reason}</p>
      {used &&
        baseurl.map((address) => (
          <p key={address} className="mono faint ellipsis" title={address}>
            {address}
          </p>
        ))}
      {used && excludes.length > 0 && <p className="faint">Without {excludes.join(', ')}</p>}
    </li>
  );
}

/** The sections of an environment's repository files: which are used, and why. Those that are come first. */
export function RepoSections(props: {
  readonly prefix: PrefixState;
  readonly files: readonly string[];
  readonly packages: Packages;
}): ReactElement {
  const { prefix } = props;
  const { explained, unexplained } = props.packages;
  const call = useCall();
  const unreachable = useUnreachable();
  const task = usePackageTask('sync', prefix.id);
  const running = task !== undefined && isRunning(task) ? 'They are being synchronised' : undefined;
  const sections = explained?.sections ?? [];
  const used = sections.filter((section) => section.used);
  const none = used.length === 0 ? 'None of the repositories is used' : undefined;
  return (
    <section className={styles.pane} aria-label="Synchronised repositories">
      <div className={styles.paneHead}>
        <h2>Repositories</h2>
        <span className="dim">{explained === undefined ? '' : `${used.length} of ${sections.length} used`}</span>
        <span className={styles.space} />
        <GuardedButton
          blocked={unreachable ?? running ?? none}
          leftSection={<IconRefresh size={16} stroke={1.6} />}
          onClick={() => void call('Could not synchronise', (client) => client.repos.sync({ prefix: prefix.id }))}
        >
          Synchronise
        </GuardedButton>
      </div>
      <p className="dim">
        From{' '}
        {props.files.map((file, at) => (
          <span key={file} className="mono" title={file}>
            {at === 0 ? '' : ', '}
            {baseName(file)}
          </span>
        ))}
        . What was synchronised of them adds what the sources do not have.
      </p>
      <PackageTask operation={task} />
      {unexplained !== undefined && <ErrorNotice error={unexplained} title="The files cannot be read" />}
      {explained !== undefined && <Issues issues={explained.issues} />}
      <ul className={styles.sections} aria-label="Sections" aria-busy={explained === undefined && unexplained === undefined} tabIndex={0}>
        {[...used, ...sections.filter((section) => !section.used)].map((section) => (
          <Section key={section.id} section={section} />
        ))}
      </ul>
    </section>
  );
}
