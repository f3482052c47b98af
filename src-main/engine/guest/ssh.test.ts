import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { AuthContext, ServerChannel } from 'ssh2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EngineError } from '../../../src-shared/errors.ts';
import { silentLog } from '../core/log.ts';
import { type FakeGuest, type FakeGuestOptions, loopbackDial, memoryHostKeys, startFakeGuest } from './guest.fake.ts';
import { openHostKeys } from './host-keys.ts';
import { generateEd25519 } from './keys.ts';
import { connectSsh, type SshTarget } from './ssh.ts';

let privateKey: string;
let directory: string;
beforeAll(async () => {
  ({ privateKey } = await generateEd25519('test'));
  directory = await mkdtemp(join(tmpdir(), 'lago-ssh-'));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

function target(guest: { readonly port: number }, changes: Partial<SshTarget> = {}): SshTarget {
  return {
    dial: loopbackDial(),
    address: '127.0.0.1',
    port: guest.port,
    vm: 'web',
    user: 'root',
    privateKey,
    hostKeys: memoryHostKeys(),
    timeoutMs: 10_000,
    log: silentLog,
    ...changes,
  };
}

async function eventually(condition: () => boolean): Promise<void> {
  for (let n = 0; !condition(); n++) {
    if (n > 1500) throw new Error('It never happened.');
    await delay(10);
  }
}

async function allSocketsClose(guest: FakeGuest): Promise<void> {
  await eventually(() => guest.sockets.size === 0);
}

async function rejection(promise: Promise<unknown>): Promise<EngineError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error('It did not fail.');
}

function runs(script: (channel: ServerChannel, command: string) => void): FakeGuestOptions {
  return { run: (channel, command) => script(channel, command ?? 'shell') };
}

describe('login', () => {
  test('by key, also by an RSA key', async () => {
    await using guest = await startFakeGuest();
    for (const key of [
      privateKey,
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
    ]) {
      await using connection = await connectSsh(target(guest, { privateKey: key }));
      expect(connection.hostKey).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
    }
    await allSocketsClose(guest);
  });

  test('by password when the key is refused', async () => {
    await using guest = await startFakeGuest({
      authenticate: (context) => {
        if (context.method === 'password' && context.password === '123456') context.accept();
        else context.reject(['publickey', 'password']);
      },
    });
    await using _connection = await connectSsh(target(guest, { password: '123456' }));
    expect(guest.seen.filter((line) => line.startsWith('auth')).at(-1)).toBe('auth password root');
  });

  test('by answering a hidden question with the password, and a visible one with nothing', async () => {
    const answers: string[][] = [];
    await using guest = await startFakeGuest({
      authenticate: (context) => {
        if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive']);
        context.prompt(
          [
            { prompt: 'Code: ', echo: true },
            { prompt: 'Password: ', echo: false },
          ],
          (given) => {
            answers.push(given);
            context.accept();
          },
        );
      },
    });
    await using _connection = await connectSsh(target(guest, { password: 's3cret' }));
    expect(answers).toEqual([['', 's3cret']]);
  });

  test('with a key and then a password, when the guest wants both', async () => {
    await using guest = await startFakeGuest({
      authenticate: (context: AuthContext) => {
        if (context.method === 'publickey') context.reject(['password'], true);
        else if (context.method === 'password') context.accept();
        else context.reject(['publickey']);
      },
    });
    await using connection = await connectSsh(target(guest, { password: 'x' }));
    expect(connection.user).toBe('root');
  });

  test('refused: names the user and the credentials', async () => {
    await using guest = await startFakeGuest({ authenticate: (context) => context.reject(['publickey', 'password']) });
    const error = await rejection(connectSsh(target(guest, { password: 'wrong' })));
    expect(error).toMatchObject({ code: 'guest.refused', details: { reason: 'login', vm: 'web', user: 'root' } });
    expect(error.message).toBe('web refuses the login of root (key and password tried).');
    expect(JSON.stringify([error.message, error.details, error.hint])).not.toContain('wrong');
    await allSocketsClose(guest);
  });

  test('ended by the guest while it was going on', async () => {
    await using guest = await startFakeGuest({ authenticate: () => [...guest.connections][0]?.end() });
    expect(await rejection(connectSsh(target(guest)))).toMatchObject({ code: 'guest.refused', details: { reason: 'login' } });
  });

  test('with an invalid key', async () => {
    await using guest = await startFakeGuest();
    expect(await rejection(connectSsh(target(guest, { privateKey: 'none' })))).toMatchObject({ code: 'input.invalid' });
    await allSocketsClose(guest);
  });
});

test('is encrypted with what costs the processor of the guest least, if the guest has it', async () => {
  await using guest = await startFakeGuest();
  for (const emulated of [true, false, undefined]) await (await connectSsh(target(guest, { emulated }))).close();
  expect(guest.ciphers).toEqual(['chacha20-poly1305@openssh.com', 'aes128-gcm@openssh.com', 'aes128-gcm@openssh.com']);
});

describe('a guest that is missing, or not what it seems', () => {
  test('refuses the connection', async () => {
    const guest = await startFakeGuest();
    await guest[Symbol.asyncDispose]();
    expect(await rejection(connectSsh(target(guest)))).toMatchObject({ code: 'guest.unreachable', details: { reason: 'refused' } });
  });

  const strange: Record<string, { raw: NonNullable<FakeGuestOptions['raw']>; reason: RegExp; timeoutMs?: number }> = {
    'never speaks': { raw: () => undefined, reason: /^no-answer$/, timeoutMs: 500 },
    'hangs up at once': { raw: (socket) => socket.end(), reason: /^closed$/ },
    'resets at once': { raw: (socket) => socket.resetAndDestroy(), reason: /^closed$/ },
    'speaks http': { raw: (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'), reason: /^(not-ssh|no-answer)$/, timeoutMs: 500 },
    'speaks ssh 1': { raw: (socket) => socket.write('SSH-1.5-old\r\n'), reason: /^(not-ssh|algorithms|closed)$/ },
    'hangs up after its banner': { raw: (socket) => socket.end('SSH-2.0-gone\r\n'), reason: /^closed$/ },
    'sends rubbish after its banner': {
      raw: (socket) => socket.write(`SSH-2.0-odd\r\n${'\xff'.repeat(4096)}`, 'latin1'),
      reason: /^(not-ssh|algorithms|closed)$/,
    },
  };
  for (const [name, { raw, reason, timeoutMs = 15_000 }] of Object.entries(strange)) {
    test(name, async () => {
      await using guest = await startFakeGuest({ raw });
      const error = await rejection(connectSsh(target(guest, { timeoutMs })));
      expect(['guest.unreachable', 'guest.refused']).toContain(error.code);
      expect(error.details.reason).toMatch(reason);
      await allSocketsClose(guest);
    });
  }

  test('talks without end before its banner: time and memory are bounded', async () => {
    let sent = 0;
    await using guest = await startFakeGuest({
      raw: (socket) => {
        const more = (): void => {
          while (!socket.destroyed && sent < 200 * 1024 * 1024) {
            sent += 65_536;
            if (!socket.write(Buffer.alloc(65_536, 'x'))) return;
          }
        };
        socket.on('drain', more);
        more();
      },
    });
    const error = await rejection(connectSsh(target(guest, { timeoutMs: 1500 })));
    expect(error.code).toBe('guest.unreachable');
    await allSocketsClose(guest);
    expect(sent).toBeLessThan(16 * 1024 * 1024);
  });
});

describe('host keys', () => {
  test('are pinned at the first login and checked later', async () => {
    const path = join(directory, 'pinned.json');
    const hostKeys = openHostKeys(path);
    await using guest = await startFakeGuest();
    const first = await connectSsh(target(guest, { hostKeys }));
    await first.close();
    await (await connectSsh(target(guest, { hostKeys }))).close();
    expect((await stat(path)).mode & 0o777).toBe(0o600);

    await using impostor = await startFakeGuest();
    const error = await rejection(connectSsh(target(impostor, { hostKeys, password: 'never sent' })));
    expect(error).toMatchObject({ code: 'guest.refused', details: { reason: 'host-key', expected: first.hostKey, file: path } });
    expect(error.details.found).toMatch(/^SHA256:/);
    expect(error.details.found).not.toBe(first.hostKey);
    expect(error.hint).toContain(path);
    expect(impostor.seen.filter((line) => line.startsWith('auth'))).toEqual([]);

    // Like a revert to a snapshot from before the first login, when nothing was pinned.
    const unused = join(directory, 'unused.json');
    await openHostKeys(join(directory, 'none.json')).keep(unused);
    await hostKeys.pin('db', Buffer.from('key of db'));
    await hostKeys.restore(unused, ['web']);
    expect(await hostKeys.check('db', Buffer.from('key of db'))).toBe('same');
    await (await connectSsh(target(impostor, { hostKeys }))).close();
    await rejection(connectSsh(target(guest, { hostKeys })));
  });

  test('are not pinned when the login fails', async () => {
    const hostKeys = memoryHostKeys();
    await using guest = await startFakeGuest({ authenticate: (context) => context.reject() });
    await rejection(connectSsh(target(guest, { hostKeys })));
    expect(hostKeys.keys.size).toBe(0);
  });

  test('of several VMs and two users of the file are all kept', async () => {
    const path = join(directory, 'many.json');
    const stores = [openHostKeys(path), openHostKeys(path)];
    await Promise.all(Array.from({ length: 8 }, async (_, n) => await stores[n % 2]?.pin(`vm${n}`, Buffer.from(`key ${n}`))));
    const kept = JSON.parse(await readFile(path, 'utf8')) as { hosts: Record<string, unknown> };
    expect(Object.keys(kept.hosts).sort()).toEqual(Array.from({ length: 8 }, (_, n) => `vm${n}`));
    expect(await stores[0]?.check('vm3', Buffer.from('key 3'))).toBe('same');
  });

  test('a file that cannot be written or read ends the login', async () => {
    await using guest = await startFakeGuest();
    await expect(connectSsh(target(guest, { hostKeys: openHostKeys(directory) }))).rejects.toThrow('EISDIR');
    await allSocketsClose(guest);
  });
});

describe('exec', () => {
  test('streams both outputs and returns the exit status', async () => {
    await using guest = await startFakeGuest(
      runs((channel, command) => {
        channel.write(`ran ${command}\n`);
        channel.stderr.write('careful\n');
        channel.exit(3);
        channel.end();
      }),
    );
    await using connection = await connectSsh(target(guest));
    const chunks: string[] = [];
    const result = await connection.exec('ls /', {
      onStdout: (chunk) => chunks.push(`out ${chunk.toString()}`),
      onStderr: (chunk) => chunks.push(`err ${chunk.toString()}`),
    });
    expect(result).toEqual({ code: 3, stdout: 'ran ls /\n', stderr: 'careful\n' });
    expect(chunks.sort()).toEqual(['err careful\n', 'out ran ls /\n']);
  });

  test('a killed command counts as 128 + signal', async () => {
    await using guest = await startFakeGuest(
      runs((channel) => {
        channel.exit('TERM', false, '');
        channel.end();
      }),
    );
    await using connection = await connectSsh(target(guest));
    expect((await connection.exec('sleep 9')).code).toBe(143);
  });

  for (const [name, input] of Object.entries({ text: 'abc', bytes: Buffer.from('abc'), stream: Readable.from(['a', 'bc']) })) {
    test(`sends ${name} to stdin`, async () => {
      await using guest = await startFakeGuest(
        runs((channel) => {
          channel.pipe(channel, { end: false });
          channel.on('end', () => {
            channel.exit(0);
            channel.end();
          });
        }),
      );
      await using connection = await connectSsh(target(guest));
      expect((await connection.exec('cat', { input })).stdout).toBe('abc');
    });
  }

  test('keeps the end of a long output', async () => {
    await using guest = await startFakeGuest(
      runs((channel) => {
        channel.write(Buffer.alloc(300_000, 'a'));
        channel.write('the end');
        channel.exit(0);
        channel.end();
      }),
    );
    await using connection = await connectSsh(target(guest));
    expect((await connection.exec('yes', { maxOutput: 10 })).stdout).toBe('aaathe end');
  });

  test('many at once on one connection', async () => {
    await using guest = await startFakeGuest(
      runs((channel, command) => {
        channel.write(command);
        channel.exit(0);
        channel.end();
      }),
    );
    await using connection = await connectSsh(target(guest));
    const results = await Promise.all(Array.from({ length: 30 }, async (_, n) => await connection.exec(`echo ${n}`)));
    expect(results.map((result) => result.stdout)).toEqual(Array.from({ length: 30 }, (_, n) => `echo ${n}`));
  });

  test('rejects when the guest hangs up meanwhile, before, and when it ends without a status', async () => {
    await using guest = await startFakeGuest(
      runs((channel, command) => {
        if (command === 'no status') channel.end();
        else for (const socket of guest.sockets) socket.destroy();
      }),
    );
    const connection = await connectSsh(target(guest));
    expect(await rejection(connection.exec('no status'))).toMatchObject({ code: 'guest.failed' });
    expect(await rejection(connection.exec('hang up'))).toMatchObject({ code: 'guest.unreachable', details: { vm: 'web' } });
    expect(await connection.closed).toMatchObject({ code: 'guest.unreachable' });
    expect(await rejection(connection.exec('true'))).toMatchObject({ code: 'guest.unreachable' });
    await connection.close();
  });

  test('a guest that goes silent is lost after the keep-alive', async () => {
    let freeze = (): void => undefined;
    const dial = loopbackDial((socket) => {
      let frozen = false;
      const stream = new Duplex({
        read: () => void socket.resume(),
        write: (chunk, _encoding, done) => (frozen ? done() : void socket.write(chunk, done)),
        destroy: (error, done) => {
          socket.destroy();
          done(error);
        },
      });
      socket.on('data', (chunk) => {
        if (!frozen) stream.push(chunk);
      });
      freeze = () => {
        frozen = true;
      };
      return stream;
    });
    await using guest = await startFakeGuest(runs(() => freeze()));
    const connection = await connectSsh(target(guest, { dial, keepaliveMs: 200 }));
    expect(await rejection(connection.exec('sleep'))).toMatchObject({ code: 'guest.unreachable', details: { reason: 'no-answer' } });
    await connection.close();
  });
});

describe('abort', () => {
  const silent: FakeGuestOptions = { raw: () => undefined };
  const stuckLogin: FakeGuestOptions = { authenticate: () => undefined };

  for (const [stage, options, when] of [
    ['the handshake', silent, 'connected'],
    ['the login', stuckLogin, 'auth publickey root'],
  ] as const) {
    test(`during ${stage}`, async () => {
      await using guest = await startFakeGuest(options);
      const stop = new AbortController();
      const connecting = rejection(connectSsh(target(guest, { signal: stop.signal })));
      await eventually(() => guest.seen.some((line) => line === when || (when.startsWith('auth') && line.startsWith('auth'))));
      stop.abort();
      expect((await connecting).code).toBe('cancelled');
      await allSocketsClose(guest);
    });
  }

  test('before and during dialling', async () => {
    await using guest = await startFakeGuest();
    expect((await rejection(connectSsh(target(guest, { signal: AbortSignal.abort() })))).code).toBe('cancelled');
    const stop = new AbortController();
    const dial = async (): Promise<Duplex> =>
      await new Promise((_resolve, reject) => stop.signal.addEventListener('abort', () => reject(new Error('stopped'))));
    const connecting = rejection(connectSsh(target(guest, { dial, signal: stop.signal })));
    stop.abort(new EngineError('vm.not-running', 'VM web was stopped.'));
    expect(await connecting).toMatchObject({ code: 'vm.not-running', message: 'VM web was stopped.' });
    expect(guest.seen).toEqual([]);
  });

  test('while the host key is checked', async () => {
    await using guest = await startFakeGuest();
    const stop = new AbortController();
    const hostKeys = { ...memoryHostKeys(), check: async () => await new Promise<'new'>(() => stop.abort()) };
    expect((await rejection(connectSsh(target(guest, { hostKeys, signal: stop.signal })))).code).toBe('cancelled');
    await allSocketsClose(guest);
  });

  test('before and while a command runs; the connection lives on', async () => {
    await using guest = await startFakeGuest(
      runs((channel, command) => {
        channel.on('close', () => guest.seen.push(`closed ${command}`));
        channel.resume();
        if (command !== 'true') return;
        channel.exit(0);
        channel.end();
      }),
    );
    await using connection = await connectSsh(target(guest));
    expect((await rejection(connection.exec('never', { signal: AbortSignal.abort() }))).code).toBe('cancelled');
    const stop = new AbortController();
    const running = rejection(connection.exec('sleep 100', { signal: stop.signal }));
    await eventually(() => guest.seen.includes('exec sleep 100'));
    stop.abort();
    expect((await running).code).toBe('cancelled');
    await eventually(() => guest.seen.includes('closed sleep 100'));
    expect(guest.seen).not.toContain('exec never');
    expect((await connection.exec('true')).code).toBe(0);
  });
});
