import { type ReactElement, useSyncExternalStore } from 'react';
import { formatBytes } from '../../../src-shared/bytes.ts';
import type { VmNumbers } from '../../../src-shared/numbers.ts';
import type { VmState } from '../../../src-shared/state.ts';
import { formatFraction } from '../../format.ts';
import { Tip } from '../../ui/feedback/tip.tsx';
import type { NumbersFeed } from './numbers-feed.ts';
import styles from './vm-numbers.module.css';

interface Shown {
  readonly vm: VmState;
  readonly numbers: NumbersFeed;
}

/** Text made of a VM's numbers: the component is drawn again only when the text differs. Empty without numbers. */
function useReading({ vm, numbers }: Shown, read: (now: VmNumbers) => string): string {
  return useSyncExternalStore(numbers.subscribe, () => {
    const now = numbers.of(vm.name);
    return now === undefined ? '' : read(now);
  });
}

/** A number that is known a moment after the row appears: its place is kept, so that nothing moves. */
function Use(props: { readonly text: string; readonly title?: string }): ReactElement {
  return (
    <span className={styles.use} title={props.title}>
      {props.text}
    </span>
  );
}

function formatRate(bytes: number): string {
  return `${formatBytes(bytes)}/s`;
}

/** Memory that is used in a running VM, or until its guest tells, what its QEMU takes. */
export function MemoryUse(props: Shown): ReactElement {
  const text = useReading(props, ({ memory, guestMemory, balloon }) => {
    const used = guestMemory ?? memory;
    if (used === null) return '';
    const whole = props.vm.memory * 1024 ** 2;
    const given = balloon === null || balloon >= whole ? '' : ` of ${formatBytes(balloon)}`;
    return `${formatBytes(used)}${given} used`;
  });
  const title = useReading(props, ({ memory, guestMemory }) => {
    const host = memory === null ? '' : `QEMU takes ${formatBytes(memory)} of its machine`;
    return guestMemory === null ? host : `Used in the guest, without what it only caches${host === '' ? '' : `; ${host}`}`;
  });
  return <Use text={text} title={title} />;
}

function Rate(props: Shown & { readonly title: string; readonly read: (now: VmNumbers) => string }): ReactElement {
  return (
    <>
      <dt>{props.title}</dt>
      <dd>{useReading(props, props.read)}</dd>
    </>
  );
}

/** How busy a running VM's processors are; its tooltip has the rates of its disks and networks. */
export function CpuUse(props: Shown): ReactElement {
  const { vm } = props;
  const text = useReading(props, ({ cores }) => formatFraction(cores / vm.vcpu));
  if (text === '') return <Use text="" />;
  return (
    <Tip
      label={
        <dl className={styles.rates}>
          <Rate {...props} title="Disks read" read={({ diskRead }) => formatRate(diskRead)} />
          <Rate {...props} title="Disks written" read={({ diskWritten }) => formatRate(diskWritten)} />
          <Rate {...props} title="Network in" read={({ received }) => formatRate(received)} />
          <Rate {...props} title="Network out" read={({ sent }) => formatRate(sent)} />
        </dl>
      }
    >
      <button type="button" className={styles.busy} aria-label={`Processor use of ${vm.name}: ${text}`}>
        <Use text={text} />
      </button>
    </Tip>
  );
}
