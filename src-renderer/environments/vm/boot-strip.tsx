import type { ReactElement } from 'react';
import { BOOT_STAGE_TITLES, type BootStage, type BootState, waitingStage } from '../../../src-shared/boot.ts';
import { Tip } from '../../ui/feedback/tip.tsx';
import styles from './boot-strip.module.css';

/** One line for each stage: `Kernel  +1.2 s`. */
function lineOf(stage: BootStage, from: number | null): string {
  const title = BOOT_STAGE_TITLES[stage.id];
  switch (stage.state) {
    case 'done':
      return stage.at === null || from === null || stage.at === from ? title : `${title} +${((stage.at - from) / 1000).toFixed(1)} s`;
    case 'passed':
      return `${title} (not seen)`;
    case 'waiting':
      return `${title}: waiting`;
    case 'ahead':
      return `${title}: later`;
  }
}

/** How far a VM has booted: a bar for each stage; the tooltip names them. */
export function BootStrip(props: { readonly vm: string; readonly boot: BootState }): ReactElement {
  const { vm, boot } = props;
  const from = boot.stages.find((stage) => stage.at !== null)?.at ?? null;
  const reached = boot.stages.filter(({ state }) => state === 'done' || state === 'passed').length;
  const waiting = waitingStage(boot);
  const next = waiting === undefined ? '' : `, waiting for: ${BOOT_STAGE_TITLES[waiting.id]}`;
  return (
    <Tip
      label={
        <span className={styles.lines}>
          {[...boot.stages.map((stage) => lineOf(stage, from)), ...(boot.hang === null ? [] : [boot.hang.cause])].join('\n')}
        </span>
      }
    >
      <button type="button" className={styles.strip} aria-label={`Boot of ${vm}: ${reached} of ${boot.stages.length} stages${next}`}>
        {boot.stages.map((stage) => (
          <span key={stage.id} data-state={stage.state === 'waiting' && boot.hang !== null ? 'hang' : stage.state} />
        ))}
      </button>
    </Tip>
  );
}
