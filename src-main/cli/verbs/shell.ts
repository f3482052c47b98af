import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import type { VmState } from '../../../src-shared/state.ts';
import type { ShellSession } from '../../engine/index.ts';
import type { VerbContext } from '../context.ts';
import { listValue, textValue } from '../parser/table.ts';
import { rawMode } from '../terminal.ts';

/** What the words after HOST mean. */
export type ShellPlan =
  | { readonly kind: 'interactive' }
  /** A local script, fed to `bash -s`. */
  | { readonly kind: 'script'; readonly path: string }
  | { readonly kind: 'command'; readonly command: string };

/** Lago's rule: no word → interactive; one word naming a file → script; otherwise a command of all words, without a leading `-c`. */
export async function shellPlan(cwd: string, words: readonly string[]): Promise<ShellPlan> {
  const [first] = words;
  if (first === undefined) return { kind: 'interactive' };
  if (words.length === 1) {
    const path = resolve(cwd, first);
    const found = await stat(path).catch(() => undefined); // no such file: it is a command
    if (found?.isFile() === true) return { kind: 'script', path };
  }
  const command = (first === '-c' ? words.slice(1) : words).join(' ');
  if (command === '') throw new EngineError('input.usage', 'There is no command after -c.');
  return { kind: 'command', command };
}

/** The VM of that name, else the first whose name ends with it. `vm.missing`, `vm.not-running`. */
export function findHost(vms: readonly VmState[], host: string): VmState {
  const vm = vms.find((one) => one.name === host) ?? vms.find((one) => one.name.endsWith(host));
  if (vm === undefined) {
    throw new EngineError('vm.missing', `Unable to find VM ${host}`, { hint: `Available: ${vms.map((one) => one.name).join(', ')}.` });
  }
  requireRunning(vm);
  return vm;
}

/** `vm.not-running`, with the verb that changes it. */
export function requireRunning({ name, status }: VmState): void {
  if (status === 'running') return;
  throw new EngineError('vm.not-running', `Host ${name} is not "running", but "${status}"`, {
    hint: status === 'paused' ? `Resume it with "lago resume ${name}".` : `Start it with "lago start ${name}".`,
  });
}

/** `lago shell HOST [args...]`: returns the remote exit status. */
export async function shell(context: VerbContext): Promise<number> {
  const { stdin, stdout, environment, cwd } = context.around;
  const words = listValue(context.values, 'args') ?? [];
  const plan = await shellPlan(cwd, words);
  const prefix = await context.prefix();
  return await context.withEngine(async (engine) => {
    const vm = findHost((await engine.prefix.status(prefix.path)).vms, textValue(context.values, 'host') ?? '');
    const script = plan.kind === 'script' ? await readFile(plan.path) : undefined;
    const pty = plan.kind === 'interactive' && stdin.isTTY === true;
    let said = false;
    const session = await engine.vm.shell(prefix.path, {
      vm: vm.name,
      signal: context.signal,
      ...(pty ? { pty: { columns: stdout.columns || 80, rows: stdout.rows || 24, term: environment['TERM'] ?? 'xterm' } } : {}),
      ...(plan.kind === 'command' ? { command: plan.command } : pty ? {} : { command: plan.kind === 'script' ? 'bash -s' : 'bash' }),
      onWait: (message) => {
        if (!said && context.around.stderr.isTTY !== true) context.log.message('info', message);
        said = true;
        context.log.progress(message);
      },
    });
    context.log.progress(undefined);
    try {
      return await converse(context, session, script, pty);
    } finally {
      await session[Symbol.asyncDispose]();
    }
  });
}

async function converse(context: VerbContext, session: ShellSession, script: Buffer | undefined, pty: boolean): Promise<number> {
  const { stdin, stdout, stderr } = context.around;
  const terminal = pty ? rawMode(stdin) : undefined;
  const onResize = (): void => session.resize(stdout.columns || 80, stdout.rows || 24);
  if (pty) stdout.on('resize', onResize);
  const outputs = [forward(session.stream, stdout), ...(session.stderr === undefined ? [] : [forward(session.stderr, stderr)])];
  session.stream.on('error', () => undefined); // `exit` reports the reason
  const onInput = (chunk: Buffer): void => {
    if (session.stream.write(chunk)) return;
    stdin.pause();
    session.stream.once('drain', () => stdin.resume());
  };
  const onInputEnd = (): void => void session.stream.end();
  if (script !== undefined) session.stream.end(script);
  else if (!pty && stdin.isTTY === true) session.stream.end();
  else {
    stdin.on('data', onInput);
    stdin.once('end', onInputEnd);
  }
  try {
    const code = await Promise.race([session.exit, aborted(context.signal)]);
    await Promise.all(outputs);
    return code;
  } finally {
    stdin.removeListener('data', onInput);
    stdin.removeListener('end', onInputEnd);
    stdin.pause();
    stdout.removeListener('resize', onResize);
    terminal?.restore();
  }
}

/** Copies a stream to an output, respecting back-pressure; resolves when the stream has ended. */
async function forward(from: NodeJS.ReadableStream, to: NodeJS.WritableStream): Promise<void> {
  await new Promise<void>((done) => {
    from.on('data', (chunk: Buffer) => {
      if (to.write(chunk)) return;
      from.pause();
      to.once('drain', () => from.resume());
    });
    from.once('end', done);
    from.once('close', done);
    from.once('error', () => done()); // the session's `exit` reports the reason
  });
}

async function aborted(signal: AbortSignal): Promise<never> {
  return await new Promise<never>((_, reject) => {
    const stop = (): void => reject(new EngineError('cancelled', 'Cancelled.'));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
