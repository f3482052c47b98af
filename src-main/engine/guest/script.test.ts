import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { EngineError } from '../../../src-shared/errors.ts';
import { silentLog } from '../core/log.ts';
import { type FakeGuest, loopbackDial, memoryHostKeys, startFakeGuest } from './guest.fake.ts';
import { generateEd25519 } from './keys.ts';
import { runLocally } from './local-shell.test-support.ts';
import { endScript, runScript, type ScriptOutcome, type ScriptRequest } from './script.ts';
import { connectSsh, type SshConnection } from './ssh.ts';

let guest: FakeGuest;
let connection: SshConnection;

beforeEach(async () => {
  guest = await startFakeGuest({ run: runLocally });
  const { privateKey } = await generateEd25519('test');
  connection = await connectSsh({
    dial: loopbackDial(),
    address: '127.0.0.1',
    port: guest.port,
    vm: 'web',
    user: 'root',
    privateKey,
    hostKeys: memoryHostKeys(),
    timeoutMs: 10_000,
    log: silentLog,
  });
});
afterEach(async () => {
  await connection.close();
  await guest[Symbol.asyncDispose]();
});

interface Ran extends ScriptOutcome {
  readonly output: string;
}

async function run(script: string | Uint8Array, options: Partial<ScriptRequest> = {}): Promise<Ran> {
  const output: Buffer[] = [];
  const outcome = await runScript(connection, {
    script: typeof script === 'string' ? Buffer.from(script) : script,
    environment: {},
    run: randomUUID(),
    onOutput: async (chunk) => void (await Promise.resolve(output.push(chunk))),
    timeoutMs: undefined,
    cancel: new AbortController().signal,
    stopped: new AbortController().signal,
    ...options,
  });
  return { ...outcome, output: Buffer.concat(output).toString('latin1') };
}

/** Processes of this machine that carry the run. */
function left(run: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`LAGO_RUN=${run}`);
      } catch {
        return false; // it ended, or is another user's
      }
    });
}

/** A controller that is aborted when the script has printed the text. */
function whenPrinted(text: string, act: () => void): ScriptRequest['onOutput'] {
  let seen = '';
  return async (chunk) => {
    seen += chunk.toString('latin1');
    if (seen.includes(text)) act();
    await Promise.resolve();
  };
}

it('runs a script by bash, with both outputs in their order and its status', async () => {
  const script = 'echo one\necho two >&2\necho "$BASH_VERSION" | grep -q . && echo three\nfalse || exit 7\n';
  expect(await run(script)).toEqual({ how: 'exited', code: 7, output: 'one\ntwo\nthree\n' });
  expect(await run('')).toMatchObject({ how: 'exited', code: 0 });
  expect(await run('kill -9 $$')).toMatchObject({ how: 'exited', code: 137 });
});

it('line numbers in messages are those of the file', async () => {
  expect((await run('true\n\nno-such-command\n')).output).toMatch(/line 3: no-such-command/);
});

it('gives values as data, whatever is in them', async () => {
  const value = `it's "$HOME" \`id\` $(id)\n é %s \\`;
  const { output } = await run('printf %s "$LAGO_VALUE"', { environment: { LAGO_VALUE: value } });
  expect(Buffer.from(output, 'latin1').toString()).toBe(value);
});

it('passes every byte on, and waits for a slow reader', async () => {
  let bytes = 0;
  const outcome = await run('head -c 3000000 /dev/zero; printf "\\377\\000end"', {
    onOutput: async (chunk) => {
      await delay(1);
      bytes += chunk.length;
    },
  });
  expect(outcome).toMatchObject({ how: 'exited', code: 0 });
  expect(bytes).toBe(3_000_005);
  const { output } = await run('printf "\\377\\000end"');
  expect(output).toBe('\u00ff\u0000end');
});

it('ends when the script ends, though a process in the background keeps its output open', async () => {
  const id = randomUUID();
  const { how, code, output } = await run('sleep 1000 & echo begun; exit 3', { run: id });
  expect({ how, code, output }).toEqual({ how: 'exited', code: 3, output: 'begun\n' });
  expect(left(id)).toHaveLength(1);
  expect(await endScript(connection, id, new AbortController().signal)).toBe(true);
  expect(left(id)).toEqual([]);
});

it('ends a script in the guest that takes too long, with all that it started', async () => {
  const id = randomUUID();
  const script = 'setsid sleep 1000 & (trap "" TERM; sleep 1000) & echo waiting; sleep 1000; echo never';
  const outcome = await run(script, { run: id, timeoutMs: 500 });
  expect(outcome).toMatchObject({ how: 'timed-out', output: 'waiting\n' });
  expect(outcome.code).toBeGreaterThan(128);
  expect(left(id)).toEqual([]);
});

it('ends a script that is cancelled', async () => {
  const id = randomUUID();
  const cancel = new AbortController();
  const outcome = await run('trap "" TERM; echo begun; while :; do sleep 1; done', {
    run: id,
    cancel: cancel.signal,
    onOutput: whenPrinted('begun', () => cancel.abort()),
  });
  expect(outcome.how).toBe('cancelled');
  expect(left(id)).toEqual([]);
});

it('rejects with the reason when the VM stops or the connection is lost', async () => {
  const stopped = new AbortController();
  const why = new EngineError('vm.not-running', 'VM web was stopped.');
  const id = randomUUID();
  const running = run('echo begun; sleep 1000', {
    run: id,
    stopped: stopped.signal,
    onOutput: whenPrinted('begun', () => stopped.abort(why)),
  });
  await expect(running).rejects.toBe(why);
  await endScript(connection, id, new AbortController().signal);

  const cut = run('echo begun; sleep 1000', {
    run: id,
    onOutput: whenPrinted('begun', () => {
      for (const socket of guest.sockets) socket.destroy();
    }),
  });
  await expect(cut).rejects.toMatchObject({ code: 'guest.unreachable' });
  for (const pid of left(id)) process.kill(Number(pid));
});

it('a script whose output cannot be kept is ended', async () => {
  const id = randomUUID();
  const full = new EngineError('host.no-space', 'No space left.');
  const running = run('while :; do echo line; sleep 0.01; done', { run: id, onOutput: async () => await Promise.reject(full) });
  await expect(running).rejects.toBe(full);
  expect(left(id)).toEqual([]);
});

it('a script of which the rest is not read is no error', async () => {
  const script = `exit 4\n${'#'.repeat(79)}\n`.padEnd(2_000_000, 'x\n');
  expect(await run(script)).toMatchObject({ how: 'exited', code: 4 });
});
