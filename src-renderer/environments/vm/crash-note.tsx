import { IconCircleX } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import type { CrashState, VmState } from '../../../src-shared/state.ts';
import { formatClock } from '../../format.ts';
import { useNow } from '../../ui/hooks/use-now.ts';
import styles from './vm-note.module.css';

/** When and why a VM crashed, in one line: `at 14:03: Its QEMU process ended…`. */
export function crashSentence(crash: CrashState, now: number): string {
  return crash.at === null ? crash.reason : `${formatClock(crash.at, now)}: ${crash.reason}`;
}

function Lines(props: {
  readonly of: string;
  readonly vm: string;
  readonly lines: readonly string[];
  readonly none: string;
}): ReactElement {
  if (props.lines.length === 0) return <p className="dim">{props.none}</p>;
  return (
    <>
      <p className="dim">Last lines of {props.of}:</p>
      <pre className="mono" tabIndex={0} aria-label={`Last lines of ${props.of} for ${props.vm}`}>
        {props.lines.join('\n')}
      </pre>
    </>
  );
}

/** What is known about each crashed VM of an environment, with the last lines of QEMU and of its console; nothing when none has crashed. */
export function CrashNotes(props: { readonly vms: readonly VmState[] }): ReactElement | null {
  const now = useNow(false);
  const crashed = props.vms.flatMap((vm) => (vm.crash === null ? [] : [{ name: vm.name, crash: vm.crash }]));
  if (crashed.length === 0) return null;
  return (
    <section className={styles.notes} aria-label="Crashed VMs">
      {crashed.map(({ name, crash }) => (
        <details key={name} className={styles.note} open={crashed.length === 1}>
          <summary>
            <IconCircleX size={16} stroke={1.8} />
            <span>
              <span className="mono">{name}</span> crashed
            </span>
            <span className="dim">{crashSentence(crash, now)}</span>
          </summary>
          <Lines of="QEMU" vm={name} lines={crash.lines} none="QEMU left no message." />
          <Lines of="the serial console" vm={name} lines={crash.console} none="The guest printed nothing on its serial console." />
        </details>
      ))}
    </section>
  );
}
