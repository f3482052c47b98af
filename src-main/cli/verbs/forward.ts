import { pipeline } from 'node:stream/promises';
import { forwardAddress } from '../../../src-shared/addresses.ts';
import { EngineError } from '../../../src-shared/errors.ts';
import type { Engine, Forward, ForwardRequest, PrefixLocation } from '../../engine/index.ts';
import type { VerbContext } from '../context.ts';
import { listValue } from '../parser/table.ts';

/** What is asked for: ports on this machine, or one VM's port on stdin and stdout. */
export type ForwardPlan =
  | { readonly kind: 'listen'; readonly requests: readonly ForwardRequest[] }
  | { readonly kind: 'stdio'; readonly vm: string; readonly port: number };

const USAGE = 'Write VM PORT [LOCALPORT], or VM:PORT[:LOCALPORT] once or more.';

/** Reads the words after `lago forward`. */
export function forwardPlan(words: readonly string[]): ForwardPlan {
  const [vm = '', port, local, ...more] = words;
  if (vm.includes(':')) return { kind: 'listen', requests: words.map(requestOf) };
  if (port === undefined || more.length > 0) throw new EngineError('input.usage', 'These are not ports of VMs.', { hint: USAGE });
  if (local === '-') return { kind: 'stdio', vm, port: portOf(port) };
  return { kind: 'listen', requests: [{ vm, port: portOf(port), localPort: local === undefined ? undefined : portOf(local) }] };
}

function requestOf(word: string): ForwardRequest {
  const [vm = '', port = '', local, ...more] = word.split(':');
  if (vm === '' || more.length > 0) throw new EngineError('input.usage', `"${word}" is not a port of a VM.`, { hint: USAGE });
  return { vm, port: portOf(port), localPort: local === undefined ? undefined : portOf(local) };
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new EngineError('input.usage', `"${text}" is not a port: it has to be a number from 1 to 65535.`, { hint: USAGE });
}

/** `lago forward VM PORT [LOCALPORT]`: until Ctrl-C, or until the environment is removed. */
export async function forward(context: VerbContext): Promise<number> {
  const plan = forwardPlan(listValue(context.values, 'ports') ?? []);
  const prefix = await context.prefix();
  return await context.withEngine(async (engine) => {
    if (plan.kind === 'stdio') await overStdio(context, engine, prefix, plan);
    else await untilEnded(context, engine, prefix, plan.requests);
    return 0;
  });
}

async function overStdio(
  context: VerbContext,
  engine: Engine,
  prefix: PrefixLocation,
  { vm, port }: { readonly vm: string; readonly port: number },
): Promise<void> {
  const { stdin, stdout } = context.around;
  const stream = await engine.vm.connect(prefix.path, vm, port, context.signal);
  const { signal } = context;
  try {
    // The guest decides when it is over: a client that has sent everything may still wait for the answer.
    stdin.pipe(stream);
    await pipeline(stream, stdout, { signal, end: false });
  } finally {
    stdin.destroy();
    stream.destroy();
  }
}

async function untilEnded(
  context: VerbContext,
  engine: Engine,
  prefix: PrefixLocation,
  requests: readonly ForwardRequest[],
): Promise<void> {
  const forwards: Forward[] = [];
  for (const request of requests) {
    const one = await engine.vm.forward(prefix.path, request);
    forwards.push(one);
    context.print(`${one.vm}:${one.port} is at ${forwardAddress(one.port, one.localPort)}`);
  }
  if (context.around.stdout.isTTY === true) context.log.message('info', 'Press Ctrl-C to end it.');
  const stopped = new Promise<void>((resolve) => {
    if (context.signal.aborted) resolve();
    context.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const removed = async (): Promise<void> => {
    await Promise.all(forwards.map(async (one) => await one.ended));
    if (!context.signal.aborted) context.log.message('info', `The environment ${prefix.path} was removed.`);
  };
  await Promise.race([stopped, removed()]);
}
