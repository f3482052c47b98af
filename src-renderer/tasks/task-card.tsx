import { Button } from '@mantine/core';
import { IconBan, IconChevronRight, IconCircleCheck, IconCircleX, IconLoader2, IconX } from '@tabler/icons-react';
import { type ReactElement, useState } from 'react';
import type { OperationState, StepState } from '../../src-shared/operation.ts';
import { formatDuration, formatFraction } from '../format.ts';
import { isRunning } from '../live-cache.ts';
import { Disclosure } from '../ui/disclosure.tsx';
import { ErrorNotice } from '../ui/feedback/error-notice.tsx';
import { ProgressBar } from '../ui/feedback/progress-bar.tsx';
import { type Icon, StateIcon, type Tone } from '../ui/feedback/state-mark.tsx';
import { IconButton } from '../ui/feedback/tip.tsx';
import { useNow } from '../ui/hooks/use-now.ts';
import styles from './task-card.module.css';
import { useOperationLogs } from './use-operation-logs.ts';

const MARKS: Readonly<Record<OperationState['status'], { readonly tone: Tone; readonly icon: Icon; readonly word: string }>> = {
  running: { tone: 'busy', icon: IconLoader2, word: 'running' },
  cancelling: { tone: 'busy', icon: IconLoader2, word: 'cancelling' },
  succeeded: { tone: 'ok', icon: IconCircleCheck, word: 'done' },
  failed: { tone: 'bad', icon: IconCircleX, word: 'failed' },
  cancelled: { tone: 'off', icon: IconBan, word: 'cancelled' },
};

function Step(props: { readonly step: StepState; readonly now: number; readonly depth: number }): ReactElement {
  const { step, now, depth } = props;
  const mark = MARKS[step.status];
  const leaf = step.steps.length === 0;
  return (
    <li>
      <div className={styles.step} style={{ paddingLeft: depth * 20 }}>
        <StateIcon tone={mark.tone} icon={mark.icon} label={mark.word} spin={step.status === 'running'} />
        <span className={styles.stepLabel} data-status={step.status}>
          {step.label}
        </span>
        <span className={styles.detail}>{step.detail}</span>
        {leaf && step.status === 'running' && step.fraction > 0 && <ProgressBar fraction={step.fraction} label={step.label} width={72} />}
        <span className={styles.time}>{formatDuration((step.endedAt ?? now) - step.startedAt)}</span>
      </div>
      {!leaf && (
        <ul>
          {step.steps.map((child) => (
            <Step key={child.id} step={child} now={now} depth={depth + 1} />
          ))}
        </ul>
      )}
    </li>
  );
}

/** An operation's log, fetched when it is unfolded. */
function Log(props: { readonly operation: string }): ReactElement {
  const [open, setOpen] = useState(false);
  return (
    <Disclosure summary="Log" className={styles.log} onToggle={setOpen}>
      {open && <LogLines operation={props.operation} />}
    </Disclosure>
  );
}

function LogLines(props: { readonly operation: string }): ReactElement {
  const lines = useOperationLogs([props.operation]).get(props.operation) ?? [];
  return <pre tabIndex={0}>{lines.join('\n')}</pre>;
}

interface TaskCardProps {
  readonly operation: OperationState;
  readonly onCancel: () => void;
  readonly onDismiss?: (() => void) | undefined;
  /** Whether the steps are unfolded initially. */
  readonly open?: boolean;
}

/** One operation: its progress, steps, log and result. */
export function TaskCard(props: TaskCardProps): ReactElement {
  const { operation } = props;
  const running = isRunning(operation);
  const now = useNow(running);
  const [chosen, setChosen] = useState<boolean | null>(null);
  const open = chosen ?? props.open ?? (running || operation.status === 'failed');
  const mark = MARKS[operation.status];
  return (
    <section className={styles.card} aria-label={`Task ${operation.label}`} data-status={operation.status} data-testid="task">
      <div className={styles.header}>
        <button
          type="button"
          className={styles.toggle}
          aria-expanded={open}
          aria-label={`${operation.label}, steps`}
          onClick={() => setChosen(!open)}
        >
          <IconChevronRight size={14} stroke={1.8} className={styles.chevron ?? ''} data-open={open} />
          <StateIcon tone={mark.tone} icon={mark.icon} label={mark.word} spin={running} size={16} />
          <span className={styles.label}>{operation.label}</span>
        </button>
        <span className={styles.word} data-tone={mark.tone}>
          {running && operation.status === 'running' ? formatFraction(operation.fraction) : mark.word}
        </span>
        <span className={styles.time}>{formatDuration((operation.endedAt ?? now) - operation.startedAt)}</span>
        {running ? (
          <Button
            size="compact-xs"
            variant="subtle"
            color="gray"
            disabled={operation.status === 'cancelling'}
            onClick={props.onCancel}
            aria-label={`Cancel ${operation.label}`}
          >
            {operation.status === 'cancelling' ? 'Cancelling…' : 'Cancel'}
          </Button>
        ) : (
          props.onDismiss !== undefined && (
            <IconButton label={`Dismiss ${operation.label}`} tip="Dismiss" icon={IconX} onClick={props.onDismiss} />
          )
        )}
      </div>
      {running && (
        <div className={styles.bar}>
          <ProgressBar fraction={operation.fraction} label={operation.label} />
        </div>
      )}
      {open && (
        <div className={styles.body}>
          {operation.error !== undefined && operation.status === 'failed' && <ErrorNotice error={operation.error} />}
          {operation.notes?.map((note) => (
            <p key={note}>{note}</p>
          ))}
          <ul className={styles.steps} aria-label="Steps">
            {operation.steps.map((step) => (
              <Step key={step.id} step={step} now={now} depth={0} />
            ))}
          </ul>
          {operation.logLines > 0 && <Log operation={operation.id} />}
        </div>
      )}
    </section>
  );
}
