import { randomUUID } from 'node:crypto';
import { isCancelled, toEngineError, toWireError } from '../../../src-shared/errors.ts';
import {
  OPERATION_LOG_LINES,
  type OperationKind,
  type OperationState,
  type StepState,
  type StepStatus,
} from '../../../src-shared/operation.ts';
import { faultPoint } from './fault.ts';
import { createLog, type Log, type LogLevel } from './log.ts';
import type { PauseGate } from './pause.ts';
import { forEachLimit } from './until.ts';

/** Events of an operation, in order, for printing (the command line's task log, `lago.log`). */
export type OperationEvent =
  | { readonly type: 'step-start'; readonly path: readonly string[]; readonly worker: string | undefined }
  | {
      readonly type: 'step-end';
      readonly path: readonly string[];
      readonly worker: string | undefined;
      readonly status: Exclude<StepStatus, 'running'>;
      readonly elapsedMs: number;
      readonly error?: unknown;
    }
  | {
      readonly type: 'log';
      readonly path: readonly string[];
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly message: string;
    };

export interface StepOptions {
  /** Share of the parent's progress (default 1). */
  readonly weight?: number;
  /** Name of the parallel lane (a VM) that this step belongs to. */
  readonly worker?: string;
}

/**
 * One step of an operation, passed to the code that does it. Every wait inside passes `signal` on; `checkpoint()` between effects makes
 * cancelling prompt.
 */
export interface Step {
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Shows a line of a program's output like a line of the log, but without writing it to the log file: it is kept elsewhere. */
  output(line: string): void;
  /** Throws `cancelled` once the user has cancelled. */
  checkpoint(): void;
  /** Progress of this step's own work (0..1, never decreasing), and what it is doing right now. */
  progress(fraction: number, detail?: string): void;
  /** Tells the user something about the outcome; the operation's state keeps it. */
  note(sentence: string): void;
  /** Announces that this operation acts by force at `at` (ms since the epoch). To be disposed when the wait is over. */
  countdown(at: number): Countdown;
  /** Runs a nested step; its failure fails this one unless caught. */
  step<T>(label: string, work: (step: Step) => Promise<T>, options?: StepOptions): Promise<T>;
  /** Runs one nested step per item, at most `limit` at once; the first failure aborts the rest. */
  each<T, R>(items: readonly T[], limit: number, label: (item: T) => string, work: (item: T, step: Step) => Promise<R>): Promise<R[]>;
}

/** The time until an operation acts by force. */
export interface Countdown extends Disposable {
  /** Aborted when somebody wants it now (`Operation.hurry`). */
  readonly hurried: AbortSignal;
}

interface Node {
  readonly id: string;
  readonly label: string;
  readonly weight: number;
  readonly startedAt: number;
  readonly children: Node[];
  status: StepStatus;
  own: number;
  detail: string | undefined;
  endedAt: number | undefined;
}

/** Long-running work: watch it, cancel it, await its end. It outlives its caller. */
export interface Operation<T = unknown> {
  readonly id: string;
  readonly state: OperationState;
  /** Settles when everything has ended, undo included. */
  readonly done: Promise<T>;
  /** Stops at the next checkpoint and undoes; a no-op once ended. */
  cancel(): void;
  /** Pauses and resumes if the work supports it; otherwise, and once ended, no-ops. */
  pause(): void;
  resume(): void;
  /** Ends its countdown, if it has one: it acts by force now. */
  hurry(): void;
  /** Called with complete states, at most every 50 ms and always at the end. Returns the unsubscriber. */
  onState(listener: (state: OperationState) => void): () => void;
  onEvent(listener: (event: OperationEvent) => void): () => void;
  /** The last `OPERATION_LOG_LINES` lines of its log. */
  log(): readonly string[];
  /** Called with each new line. Returns the unsubscriber. */
  onLine(listener: (line: string) => void): () => void;
}

export interface OperationOptions {
  readonly kind: OperationKind;
  readonly label: string;
  readonly prefix?: string;
  /** The template that it works on. */
  readonly template?: string;
  readonly signal?: AbortSignal | undefined;
  /** Also receives every log line (the prefix's log file). */
  readonly log?: Log;
  /** Attached before the work begins, so that it misses no event. */
  readonly onEvent?: (event: OperationEvent) => void;
  /** The gate of work that can be paused. The state then shows whether it is paused. */
  readonly gate?: PauseGate;
}

/** Name of a parallel lane: the item's own name if it has one. */
function laneOf(item: unknown, label: string): string {
  return typeof item === 'object' && item !== null && 'name' in item && typeof item.name === 'string' ? item.name : label;
}

function fractionOf(node: Node): number {
  if (node.status === 'succeeded') return 1;
  const weights = node.children.reduce((sum, child) => sum + child.weight, 0);
  if (weights === 0) return node.own;
  const done = node.children.reduce((sum, child) => sum + child.weight * fractionOf(child), 0);
  // The steps are not known in advance: those seen so far fill at most the share that `own` announces, or 95 %.
  return Math.min(0.99, Math.max(node.own, (done / weights) * 0.95));
}

function stateOf(node: Node): StepState {
  return {
    id: node.id,
    label: node.label,
    status: node.status,
    fraction: fractionOf(node),
    detail: node.detail,
    startedAt: node.startedAt,
    endedAt: node.endedAt,
    steps: node.children.map(stateOf),
  };
}

/** Starts `work` as an operation at once. `done` never causes an unhandled rejection. */
export function startOperation<T>(
  options: OperationOptions,
  work: (root: Step, setPrefix: (id: string) => void) => Promise<T>,
): Operation<T> {
  const id = randomUUID();
  const abort = new AbortController();
  const signal = options.signal === undefined ? abort.signal : AbortSignal.any([options.signal, abort.signal]);
  const stateListeners = new Set<(state: OperationState) => void>();
  const eventListeners = new Set<(event: OperationEvent) => void>();
  if (options.onEvent !== undefined) eventListeners.add(options.onEvent);
  const lineListeners = new Set<(line: string) => void>();
  const lines: string[] = [];
  const notes: string[] = [];
  let written = 0;
  let nextId = 0;
  let prefix = options.prefix;
  let status: OperationState['status'] = 'running';
  let endedAt: number | undefined;
  let failure: unknown;
  let best = 0;
  let timer: NodeJS.Timeout | undefined;
  const startedAt = Date.now();
  let forced: { readonly at: number; readonly abort: AbortController } | undefined;

  const root = makeNode(options.label, 1);

  function makeNode(label: string, weight: number): Node {
    return {
      id: String(nextId++),
      label,
      weight,
      startedAt: Date.now(),
      children: [],
      status: 'running',
      own: 0,
      detail: undefined,
      endedAt: undefined,
    };
  }

  function snapshot(): OperationState {
    best = Math.max(best, status === 'succeeded' ? 1 : fractionOf(root));
    return {
      id,
      kind: options.kind,
      label: options.label,
      prefix,
      ...(options.template === undefined ? {} : { template: options.template }),
      status,
      ...(options.gate === undefined ? {} : { paused: options.gate.paused && endedAt === undefined }),
      ...(forced === undefined ? {} : { forceAt: forced.at }),
      fraction: best,
      startedAt,
      endedAt,
      steps: root.children.map(stateOf),
      logLines: written,
      error: failure === undefined ? undefined : toWireError(failure),
      ...(notes.length === 0 ? {} : { notes: [...notes] }),
    };
  }

  function announce(now: boolean): void {
    if (now) {
      clearTimeout(timer);
      timer = undefined;
      const state = snapshot();
      for (const listener of stateListeners) listener(state);
    } else {
      timer ??= setTimeout(() => announce(true), 50);
    }
  }

  function emit(event: OperationEvent): void {
    for (const listener of eventListeners) listener(event);
  }

  function countdown(at: number): Countdown {
    const mine = { at, abort: new AbortController() };
    forced = mine;
    announce(false);
    return {
      hurried: mine.abort.signal,
      [Symbol.dispose]() {
        if (forced === mine) forced = undefined;
        announce(false);
      },
    };
  }

  function makeStep(node: Node, path: readonly string[], own: AbortSignal, worker: string | undefined): Step {
    const show = (level: LogLevel, message: string): void => {
      if (level !== 'debug') {
        written++;
        lines.push(message);
        if (lines.length > OPERATION_LOG_LINES) lines.shift();
        for (const listener of lineListeners) listener(message);
      }
      emit({ type: 'log', path, level, message });
      announce(false);
    };
    const log = createLog((level, message) => {
      options.log?.[level](message);
      show(level, message);
    });
    const step: Step = {
      signal: own,
      log,
      output: (line) => show('info', line),
      checkpoint: () => own.throwIfAborted(),
      progress(fraction, detail) {
        node.own = Math.max(node.own, Math.min(1, fraction));
        if (detail !== undefined) node.detail = detail;
        announce(false);
      },
      note(sentence) {
        notes.push(sentence);
        announce(false);
      },
      countdown,
      step: async (label, inner, stepOptions) =>
        await runStep(node, path, own, label, inner, stepOptions?.weight ?? 1, stepOptions?.worker ?? worker),
      each: async (items, limit, label, inner) =>
        await forEachLimit(
          items,
          limit,
          own,
          async (item, itemSignal) =>
            await runStep(
              node,
              path,
              itemSignal,
              label(item),
              async (s) => await inner(item, s),
              1,
              items.length > 1 && limit > 1 ? laneOf(item, label(item)) : worker,
            ),
        ),
    };
    return step;
  }

  async function runStep<R>(
    parent: Node,
    parentPath: readonly string[],
    own: AbortSignal,
    label: string,
    inner: (step: Step) => Promise<R>,
    weight: number,
    worker: string | undefined,
  ): Promise<R> {
    own.throwIfAborted();
    const node = makeNode(label, weight);
    const path = [...parentPath, label];
    parent.children.push(node);
    emit({ type: 'step-start', path, worker });
    announce(false);
    try {
      faultPoint('step', label);
      const result = await inner(makeStep(node, path, own, worker));
      end(node, 'succeeded');
      emit({ type: 'step-end', path, worker, status: 'succeeded', elapsedMs: Date.now() - node.startedAt });
      return result;
    } catch (error) {
      const outcome = isCancelled(error) ? 'cancelled' : 'failed';
      end(node, outcome);
      emit({ type: 'step-end', path, worker, status: outcome, elapsedMs: Date.now() - node.startedAt, error });
      throw error;
    }
  }

  function end(node: Node, outcome: StepStatus): void {
    node.status = outcome;
    node.endedAt = Date.now();
    announce(false);
  }

  async function main(): Promise<T> {
    // Listeners attached in the same turn must not miss the first step.
    await Promise.resolve();
    try {
      const result = await work(makeStep(root, [], signal, undefined), (value) => {
        prefix = value;
      });
      status = 'succeeded';
      return result;
    } catch (error) {
      failure = toEngineError(error);
      status = isCancelled(error) || (signal.aborted && isCancelled(failure)) ? 'cancelled' : 'failed';
      throw failure;
    } finally {
      endedAt = Date.now();
      root.status = status === 'succeeded' ? 'succeeded' : status === 'cancelled' ? 'cancelled' : 'failed';
      announce(true);
    }
  }

  options.gate?.onChange(() => announce(true));
  const done = main();
  done.catch(() => undefined); // reported through the state; a caller awaiting `done` still sees it

  return {
    id,
    done,
    get state() {
      return snapshot();
    },
    cancel() {
      if (status !== 'running') return;
      status = 'cancelling';
      abort.abort();
      announce(true);
    },
    pause() {
      if (status === 'running') options.gate?.pause();
    },
    resume: () => options.gate?.resume(),
    hurry: () => forced?.abort.abort(),
    onState(listener) {
      stateListeners.add(listener);
      return () => stateListeners.delete(listener);
    },
    onEvent(listener) {
      eventListeners.add(listener);
      return () => eventListeners.delete(listener);
    },
    log: () => [...lines],
    onLine(listener) {
      lineListeners.add(listener);
      return () => lineListeners.delete(listener);
    },
  };
}
