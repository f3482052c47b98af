import { EngineError } from '../../../../src-shared/errors.ts';
import type { EnvironmentSpecs } from '../../../../src-shared/specs.ts';
import { type Operation, type OperationEvent, startOperation } from '../../core/operation.ts';
import { run } from '../../core/run.ts';
import type { Engine, VerbCall } from '../contract.ts';

export interface FakeCall {
  readonly call: VerbCall;
  /** What was shown: tasks as `> NAME` and `< NAME: OUTCOME`, messages as `LEVEL: TEXT`. */
  readonly shown: readonly string[];
  /** What was printed. */
  readonly printed: readonly unknown[];
}

/** A verb's call on an engine of the test, with real operations and real programs. */
export function fakeCall(options: {
  readonly prefix: string;
  readonly engine?: object;
  readonly specs?: EnvironmentSpecs;
  readonly values?: VerbCall['values'];
  readonly signal?: AbortSignal;
  readonly resources?: string;
}): FakeCall {
  const shown: string[] = [];
  const printed: unknown[] = [];
  const signal = options.signal ?? new AbortController().signal;
  const show = (event: OperationEvent): void => {
    if (event.type === 'step-start') shown.push(`> ${event.path.at(-1)}`);
    else if (event.type === 'step-end') shown.push(`< ${event.path.at(-1)}: ${event.status}`);
    else if (event.level !== 'debug') shown.push(`${event.level}: ${event.message}`);
  };
  const say =
    (level: string) =>
    (message: string): void =>
      void shown.push(`${level}: ${message}`);
  const follow = async <T>(
    begin: (options: { signal: AbortSignal; onEvent: (event: OperationEvent) => void }) => Operation<T>,
  ): Promise<T> => await begin({ signal, onEvent: show }).done;
  const call: VerbCall = {
    values: options.values ?? {},
    config: { get: () => undefined, section: () => ({}) },
    signal,
    cwd: options.prefix,
    format: 'default',
    log: { debug: () => undefined, info: say('info'), warn: say('warn'), error: say('error') },
    print: (text) => void printed.push(text),
    printValue: (value) => void printed.push(value),
    environment: process.env,
    program: { command: ['lago'], resources: options.resources ?? '/none' },
    prefix: async () => await Promise.resolve({ path: options.prefix, name: 'default', workdir: null }),
    specs: async () => await Promise.resolve(options.specs ?? { vms: [], nets: [] }),
    withEngine: async (work) => await work((options.engine ?? {}) as Engine),
    follow,
    task: async (label, work) =>
      await follow((given) => startOperation({ ...given, kind: 'plugin', label }, async (step) => await work(step))),
    run,
    fail(message, hint) {
      throw new EngineError('input.usage', message, hint === undefined ? {} : { hint });
    },
  };
  return { call, shown, printed };
}
