import { z } from 'zod';
import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import { drop, type Log } from '../core/log.ts';
import { sleep } from '../core/until.ts';

/** Sends one command (JSON) to the agent of a guest, and resolves with its answer (JSON). */
export type AskAgent = (command: string, options: { readonly signal: AbortSignal; readonly timeoutMs: number }) => Promise<string>;

/** An agent that answers at all answers at once; a hung one would keep libvirt waiting for a minute. */
const PING_MS = 2000;
const ANSWER_MS = 20_000;
/** Bytes asked for at once. libvirt takes answers of at most 4 MiB, in which they are base64. */
const CHUNK = 1024 * 1024;
const POLL_MS = { first: 50, most: 1000 } as const;
/** Programs run with this, not with what the agent happens to have. */
const ENVIRONMENT = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C'];

const Info = z.object({ supported_commands: z.array(z.object({ name: z.string(), enabled: z.boolean() })) });
const Started = z.object({ pid: z.number() });
const Status = z.object({
  exited: z.boolean(),
  exitcode: z.number().optional(),
  signal: z.number().optional(),
  'out-data': z.string().optional(),
  'err-data': z.string().optional(),
});
const Chunk = z.object({ 'buf-b64': z.string(), eof: z.boolean() });

export interface AgentResult {
  /** Exit status, or 128 + signal. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A file of the guest that the agent has opened. Disposing closes it; it can be read once. */
export interface AgentFile extends AsyncDisposable {
  content(): AsyncGenerator<Buffer>;
}

/** QEMU's agent in a guest, which needs neither network nor ssh. What it is asked to do, it does as root. */
export interface GuestAgent {
  readonly vm: string;
  /** Whether it may run programs; administrators can forbid that. */
  readonly runs: boolean;
  /** Runs a program to its end; of its output the agent keeps at most 16 MiB. A non-zero exit is a result, not an error. */
  run(argv: readonly [string, ...string[]], signal: AbortSignal): Promise<AgentResult>;
  /** Opens a file to read. It and reading reject with `guest.failed` and what the guest says. */
  open(path: string, signal: AbortSignal): Promise<AgentFile>;
}

/** Undefined when no agent answers, or when it may not read files. Rejects with `cancelled` and `hypervisor.disconnected`. */
export async function findAgent(vm: string, ask: AskAgent, signal: AbortSignal, log: Log): Promise<GuestAgent | undefined> {
  let allowed: ReadonlySet<string>;
  try {
    await ask('{"execute":"guest-ping"}', { signal, timeoutMs: PING_MS });
    const info = parse(vm, Info, await ask('{"execute":"guest-info"}', { signal, timeoutMs: PING_MS }));
    allowed = new Set(info.supported_commands.filter(({ enabled }) => enabled).map(({ name }) => name));
  } catch (error) {
    if (isCancelled(error) || !(error instanceof EngineError) || error.code === 'hypervisor.disconnected') throw error;
    log.debug(`The guest agent of ${vm} cannot be used: ${error.message}`);
    return undefined;
  }
  const may = (...commands: readonly string[]): boolean => commands.every((command) => allowed.has(command));
  if (!may('guest-file-open', 'guest-file-read', 'guest-file-close')) {
    log.debug(`The guest agent of ${vm} may not read files.`);
    return undefined;
  }
  const request = async <T>(answer: z.ZodType<T>, execute: string, args: object, signalOf: AbortSignal): Promise<T> =>
    parse(vm, answer, await ask(JSON.stringify({ execute, arguments: args }), { signal: signalOf, timeoutMs: ANSWER_MS }));
  return {
    vm,
    runs: may('guest-exec', 'guest-exec-status'),
    run: async (argv, stop) => await runToEnd(request, argv, stop),
    open: async (path, stop) => await openFile(vm, request, path, stop, log),
  };
}

type Request = <T>(answer: z.ZodType<T>, execute: string, args: object, signal: AbortSignal) => Promise<T>;

async function runToEnd(request: Request, [path, ...arg]: readonly [string, ...string[]], signal: AbortSignal): Promise<AgentResult> {
  const { pid } = await request(Started, 'guest-exec', { path, arg, env: ENVIRONMENT, 'capture-output': true }, signal);
  for (let pause: number = POLL_MS.first; ; pause = Math.min(pause * 1.5, POLL_MS.most)) {
    const status = await request(Status, 'guest-exec-status', { pid }, signal);
    if (status.exited) {
      const text = (data = ''): string => Buffer.from(data, 'base64').toString();
      const code = status.exitcode ?? 128 + (status.signal ?? 0);
      return { code, stdout: text(status['out-data']), stderr: text(status['err-data']) };
    }
    await sleep(pause, signal);
  }
}

async function openFile(vm: string, request: Request, path: string, signal: AbortSignal, log: Log): Promise<AgentFile> {
  const refused = (error: unknown): never => {
    if (!(error instanceof EngineError) || error.code !== 'hypervisor.failed') throw error;
    const why = error.message.split(': ').at(-1) ?? '';
    throw new EngineError('guest.failed', `${vm}: ${path}: ${why}`, { cause: error, details: { vm, path } });
  };
  const handle = await request(z.number(), 'guest-file-open', { path, mode: 'r' }, signal).catch(refused);
  return {
    async *content() {
      for (;;) {
        const { eof, 'buf-b64': bytes } = await request(Chunk, 'guest-file-read', { handle, count: CHUNK }, signal).catch(refused);
        if (bytes !== '') yield Buffer.from(bytes, 'base64');
        if (eof) return;
      }
    },
    async [Symbol.asyncDispose]() {
      // Also after a cancellation; a guest that is gone has no open files.
      const closing = request(z.unknown(), 'guest-file-close', { handle }, AbortSignal.timeout(PING_MS));
      drop(closing, log, `Closing ${path} in ${vm}`);
      await Promise.allSettled([closing]);
    },
  };
}

function parse<T>(vm: string, answer: z.ZodType<T>, text: string): T {
  try {
    return z.object({ return: answer }).parse(JSON.parse(text)).return as T;
  } catch (error) {
    throw new EngineError('guest.failed', `The guest agent of ${vm} gave an answer that makes no sense.`, {
      cause: error,
      details: { vm },
    });
  }
}
