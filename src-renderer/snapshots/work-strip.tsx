import type { ReactElement } from 'react';
import type { OperationState, StepState } from '../../src-shared/operation.ts';
import { ProgressBar } from '../ui/feedback/progress-bar.tsx';
import { vmProgress } from './vm-progress.ts';
import styles from './work-strip.module.css';

function currentOf(steps: readonly StepState[]): string | undefined {
  const step = steps.findLast(({ status }) => status === 'running');
  return step === undefined ? undefined : (currentOf(step.steps) ?? step.label);
}

/** What an operation on points of the timeline is doing with each VM. */
export function WorkStrip(props: { readonly operation: OperationState; readonly vms: readonly string[] }): ReactElement {
  const { operation } = props;
  const rows = vmProgress(operation, props.vms);
  return (
    <section className={styles.strip} aria-label="Progress per VM">
      <p>
        <strong>{operation.label}</strong> <span className="dim">{currentOf(operation.steps) ?? 'Preparing'}</span>
      </p>
      {rows.length > 0 && (
        <ul>
          {props.vms.map((vm) => {
            const row = rows.find((one) => one.vm === vm);
            return (
              <li key={vm}>
                <span className="mono ellipsis">{vm}</span>
                <ProgressBar
                  fraction={row === undefined ? 0 : row.status === 'succeeded' ? 1 : row.fraction}
                  label={`${row?.phase ?? 'Nothing done yet with'} ${vm}`}
                  width={96}
                  tone={row?.status === 'failed' ? 'bad' : row?.status === 'succeeded' ? 'ok' : 'accent'}
                />
                <span className="dim ellipsis">{row?.detail ?? row?.phase ?? '–'}</span>
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}
