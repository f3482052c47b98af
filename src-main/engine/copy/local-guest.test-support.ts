import { spawn } from 'node:child_process';
import { silentLog } from '../core/log.ts';
import { startOperation } from '../core/operation.ts';
import { type FakeGuest, loopbackDial, memoryHostKeys, startFakeGuest } from '../guest/guest.fake.ts';
import { generateEd25519 } from '../guest/keys.ts';
import { connectSsh, type SshConnection } from '../guest/ssh.ts';
import { CopyProgress } from './progress.ts';
import type { Transfer } from './transfer.ts';

export interface LocalGuest extends AsyncDisposable {
  readonly connection: SshConnection;
  readonly fake: FakeGuest;
}

/** An ordinary user: root can read everything. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

/**
 * A guest whose commands run on this machine, in a folder, by its sh; `path` replaces the PATH in which they find programs. With `ordinary`
 * they do not run as root.
 */
export async function startLocalGuest(
  home: string,
  { path = process.env['PATH'], ordinary = false }: { readonly path?: string | undefined; readonly ordinary?: boolean } = {},
): Promise<LocalGuest> {
  const fake = await startFakeGuest({
    run: (channel, command) => {
      const child = spawn('/bin/sh', ['-c', command ?? ''], {
        cwd: home,
        env: { PATH: path, HOME: home, LC_ALL: 'C.UTF-8' },
        ...(ordinary ? NOBODY : {}),
      });
      channel.pipe(child.stdin);
      child.stdin.on('error', () => undefined);
      child.stdout.pipe(channel, { end: false });
      child.stderr.pipe(channel.stderr, { end: false });
      child.on('close', (code) => {
        channel.exit(code ?? 1);
        channel.end();
      });
      channel.on('close', () => child.stdin.destroy());
    },
  });
  const connection = await connectSsh({
    dial: loopbackDial(),
    address: '127.0.0.1',
    port: fake.port,
    vm: 'web',
    user: 'root',
    privateKey: (await generateEd25519('test')).privateKey,
    hostKeys: memoryHostKeys(),
    timeoutMs: 10_000,
    log: silentLog,
  });
  return {
    connection,
    fake,
    async [Symbol.asyncDispose]() {
      await connection.close();
      await fake[Symbol.asyncDispose]();
    },
  };
}

/** Runs one transfer as an operation; `lines` receives its log. */
export async function transferring<T>(
  guest: LocalGuest,
  work: (transfer: Transfer) => Promise<T>,
  options: { readonly signal?: AbortSignal; readonly lines?: string[] } = {},
): Promise<T> {
  const operation = startOperation({ kind: 'copy', label: 'Copy', signal: options.signal }, async (step) => {
    return await work({ connection: guest.connection, step, signal: step.signal, progress: new CopyProgress(step) });
  });
  operation.onLine((line) => options.lines?.push(line));
  return await operation.done;
}
