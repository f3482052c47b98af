import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Duplex, PassThrough } from 'node:stream';
import { EngineError } from '../../src-shared/errors.ts';
import type { OperationState } from '../../src-shared/operation.ts';
import type { RemovalChoice } from '../../src-shared/snapshot/snapshot-plans.ts';
import type { VmStatus } from '../../src-shared/state.ts';
import { allVerbs, type VerbNoun } from '../../src-shared/verbs.ts';
import type { ActionOptions, Engine, EngineSettings, Operation, ShellRequest, ShellSession } from '../engine/index.ts';
import { runCommandLine } from './command-line.ts';
import type { EngineDoor } from './context.ts';
import { state } from './state.test-support.ts';

/** A one-step operation. With `hang` set it runs until it is cancelled. */
function operation<T>(label: string, result: T | EngineError, options: ActionOptions | undefined, hang: boolean): Operation<T> {
  const now = 0;
  const current: OperationState = { id: '1', kind: 'start', label, status: 'running', fraction: 0, startedAt: now, steps: [], logLines: 0 };
  let cancel = (): void => undefined;
  const cancelled = new Promise<never>((_, reject) => {
    cancel = () => reject(new EngineError('cancelled', 'Cancelled.'));
  });
  async function work(): Promise<T> {
    await Promise.resolve();
    options?.onEvent?.({ type: 'step-start', path: [label], worker: undefined });
    try {
      if (hang) await cancelled;
      if (result instanceof EngineError) throw result;
    } catch (error) {
      const status = error instanceof EngineError && error.code === 'cancelled' ? 'cancelled' : 'failed';
      options?.onEvent?.({ type: 'step-end', path: [label], worker: undefined, status, elapsedMs: 0, error });
      throw error;
    }
    options?.onEvent?.({ type: 'step-end', path: [label], worker: undefined, status: 'succeeded', elapsedMs: 0 });
    return result as T;
  }
  const done = work();
  // Prevents unhandled rejections; callers that await these promises still see the outcome.
  void Promise.allSettled([done, cancelled]);
  return {
    id: '1',
    state: current,
    done,
    cancel: () => cancel(),
    pause: () => undefined,
    resume: () => undefined,
    hurry: () => undefined,
    onState: () => () => undefined,
    onEvent: () => () => undefined,
    log: () => [],
    onLine: () => () => undefined,
  };
}

export interface Fake {
  readonly calls: unknown[][];
  settings: EngineSettings | undefined;
  disposed: number;
  failure?: EngineError;
  hang?: boolean;
  /** Lines of stdin that the remote side received. */
  remoteInput: string;
  issues: readonly object[];
  /** VMs that are in another state than usual. */
  status?: Readonly<Record<string, VmStatus>>;
}

/** Records its input. When the input ends, it prints one line on each output and exits with 7. */
function fakeSession(fake: Fake, request: ShellRequest): ShellSession {
  const errors = new PassThrough();
  let finish: (code: number) => void = () => undefined;
  const exit = new Promise<number>((resolve) => {
    finish = resolve;
  });
  const stream = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      fake.remoteInput += chunk.toString();
      done();
    },
    final(done) {
      stream.push(`out of ${request.command ?? 'a shell'}\n`);
      stream.push(null);
      errors.end('err\n');
      finish(7);
      done();
    },
  });
  return { stream, stderr: errors, exit, resize: () => undefined, [Symbol.asyncDispose]: async () => await Promise.resolve() };
}

function fakeEngine(fake: Fake): Engine {
  const act =
    (name: string, label: string) =>
    (...args: unknown[]): Operation<never> => {
      const options = args.pop() as ActionOptions | undefined;
      fake.calls.push([name, ...args]);
      return operation<never>(label, fake.failure ?? (undefined as never), options, fake.hang === true);
    };
  const verbs = (noun: VerbNoun): object =>
    Object.fromEntries(
      allVerbs()
        .filter((verb) => verb.noun === noun)
        .map((verb) => [verb.name, act(verb.kind, verb.kind)]),
    );
  return {
    workdir: '/none',
    initFile: {
      samples: async () => await Promise.resolve([]),
      inspect: async (path: string) => {
        await Promise.resolve();
        fake.calls.push(['inspect', path]);
        return {
          file: path,
          name: 'default',
          workdir: '/w',
          issues: fake.issues,
          outside: [],
          memory: 0,
          disk: 0,
          plan: { vms: {}, nets: {}, downloads: [], issues: [] },
        };
      },
    },
    prefix: {
      ...verbs('prefix'),
      create: act('create', 'Initialize and populate prefix'),
      start: act('start', 'Start Prefix'),
      export: (path: string, request: object, options: ActionOptions) => {
        fake.calls.push(['export', path, request]);
        return operation('Exporting', { folder: '/out', initFile: '/out/LagoInitFile', vms: ['db'], bytes: 1 }, options, false);
      },
      exportedDisks: async (_path: string, vms: readonly string[]) => await Promise.resolve({ [vms[0] ?? 'all']: ['/i/root.qcow2'] }),
      status: async (path: string) => {
        const vms = state.vms.map((vm) => ({ ...vm, status: fake.status?.[vm.name] ?? vm.status }));
        return await Promise.resolve({ ...state, vms, path });
      },
    },
    snapshot: {
      ...verbs('snapshot'),
      list: async () => await Promise.resolve({ vm0: {}, vm1: {} }),
      removalPlan: async (path: string, what: RemovalChoice) => {
        fake.calls.push(['removalPlan', path, what]);
        return await Promise.resolve({ snapshots: ['a', 'b'], bytes: 2048, merges: [{ vm: 'db', layers: 1 }] });
      },
      revertPlan: async (path: string, name: string) => {
        fake.calls.push(['revertPlan', path, name]);
        return await Promise.resolve({ since: 0, vms: [{ vm: 'db', now: 'running', to: 'disk' }], missing: [] });
      },
    },
    library: {
      build: (request: object, options: ActionOptions) => {
        fake.calls.push(['build', request]);
        return operation('Write', { repository: '/r/repo.json', name: 'own', version: 'v1', image: '/r/own', bytes: 1 }, options, false);
      },
    },
    vm: {
      rootPasswords: async () => await Promise.resolve({ db: '123456' }),
      shell: async (path: string, request: ShellRequest) => {
        await Promise.resolve();
        const { signal: _signal, onWait, ...rest } = request;
        fake.calls.push(['shell', path, rest]);
        onWait?.('Waiting for ssh on 192.168.200.2');
        return fakeSession(fake, request);
      },
      console: async () => await Promise.resolve(takenConsole()),
    },
    async [Symbol.asyncDispose]() {
      await Promise.resolve();
      fake.disposed++;
    },
  } as unknown as Engine;
}

/** A console that another program takes at once: it takes no more input, and then ends. */
function takenConsole(): Duplex {
  const stream = new Duplex({ read: () => undefined });
  stream.end();
  setImmediate(() => stream.push(null));
  return stream;
}

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly fake: Fake;
}

export interface RunOptions {
  readonly fake?: Partial<Fake>;
  readonly environment?: Record<string, string>;
  readonly stdin?: string;
  readonly terminal?: boolean;
  readonly signal?: AbortSignal;
  readonly cwd?: string;
  readonly door?: Partial<EngineDoor>;
  readonly conf?: string;
}

/** Runs a command line in a folder on a fake engine that records its calls. */
export async function runIn(root: string, line: string, options: RunOptions): Promise<Outcome> {
  const fake: Fake = { calls: [], settings: undefined, disposed: 0, remoteInput: '', issues: [], ...options.fake };
  const collect = (): { readonly stream: NodeJS.WriteStream; text: () => string } => {
    const stream = new PassThrough();
    let text = '';
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    return { stream: stream as unknown as NodeJS.WriteStream, text: () => text };
  };
  const [out, err] = [collect(), collect()];
  const stdin = new PassThrough();
  stdin.end(options.stdin ?? '');
  const conf = join(root, 'lago.conf');
  if (options.conf !== undefined) writeFileSync(conf, options.conf);
  const code = await runCommandLine(
    line.split(' ').filter((word) => word !== ''),
    {
      cwd: options.cwd ?? root,
      environment: options.environment ?? {},
      stdin: Object.assign(stdin, options.terminal === true ? { isTTY: true } : {}) as unknown as NodeJS.ReadStream,
      stdout: out.stream,
      stderr: err.stream,
      resourcesDir: '/none',
      command: ['lago'],
      version: '9.8.7',
      signal: options.signal ?? new AbortController().signal,
      configFiles: [conf],
      door: {
        openEngine: async (engineOptions) => {
          fake.settings = engineOptions.settings;
          return await Promise.resolve(fakeEngine(fake));
        },
        readSpecs: async () => await Promise.reject(new Error('not expected')),
        listLeases: async () => await Promise.reject(new Error('not expected')),
        freeStaleLeases: async () => await Promise.reject(new Error('not expected')),
        ...options.door,
      },
    },
  );
  return { code, out: out.text(), err: err.text(), fake };
}
