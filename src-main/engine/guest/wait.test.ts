import { type Duplex, PassThrough } from 'node:stream';
import { beforeAll, describe, expect, test } from 'vitest';
import { EngineError } from '../../../src-shared/errors.ts';
import { silentLog } from '../core/log.ts';
import type { Dial } from './dial.ts';
import { loopbackDial, memoryHostKeys, startFakeGuest } from './guest.fake.ts';
import { generateEd25519 } from './keys.ts';
import { type WaitRequest, waitForSsh } from './wait.ts';

let privateKey: string;
beforeAll(async () => {
  ({ privateKey } = await generateEd25519('test'));
});

function request(changes: Partial<WaitRequest>): WaitRequest {
  return {
    dial: loopbackDial(),
    address: '127.0.0.1',
    port: 1,
    vm: 'web',
    user: 'root',
    privateKey,
    hostKeys: memoryHostKeys(),
    timeoutMs: 20_000,
    log: silentLog,
    ...changes,
  };
}

/** Fails once for each entry, in that way, then dials loopback. */
function booting(failures: readonly ('silent' | 'refused' | 'reset')[]): Dial & { calls: number } {
  const real = loopbackDial();
  const dial: Dial & { calls: number } = Object.assign(
    async (...args: Parameters<Dial>): Promise<Duplex> => {
      const how = failures[dial.calls++];
      if (how === undefined) return await real(...args);
      const code = { silent: 'ETIMEDOUT', refused: 'ECONNREFUSED', reset: 'ECONNRESET' }[how];
      throw new EngineError('guest.unreachable', 'no', { cause: Object.assign(new Error(code), { code }) });
    },
    { calls: 0 },
  );
  return dial;
}

describe('waitForSsh', () => {
  test('proceeds from no answer to refused to a login, and reports each', async () => {
    await using guest = await startFakeGuest();
    const said: string[] = [];
    const dial = booting(['silent', 'silent', 'refused', 'refused', 'reset']);
    await using connection = await waitForSsh(request({ port: guest.port, dial, onProgress: (message) => said.push(message) }));
    expect(connection.vm).toBe('web');
    expect(dial.calls).toBe(6);
    expect(said[0]).toBe('Waiting for web to answer on 127.0.0.1 (0 s)');
    expect(said.at(-1)).toMatch(/^web is up, waiting for ssh on 127\.0\.0\.1 \(\d+ s\)$/);
    expect(new Set(said).size).toBe(said.length);
  });

  test('dials briefly, and never beyond the remaining time', async () => {
    const asked: number[] = [];
    const dial: Dial = async (_address, _port, options) => {
      asked.push(options?.timeoutMs ?? 0);
      throw new EngineError('guest.unreachable', 'no');
    };
    const waiting = waitForSsh(request({ dial, timeoutMs: 400 }));
    await expect(waiting).rejects.toMatchObject({ code: 'guest.unreachable', details: { reason: 'no-answer', vm: 'web' } });
    expect(Math.max(...asked)).toBeLessThanOrEqual(400);
    // The dial fails at once for 400 ms: attempts must be spaced out, not a busy loop.
    expect(asked.length).toBeLessThan(12);
  });

  test('on timeout it reports how far it got', async () => {
    const dial = booting(Array.from({ length: 1000 }, () => 'refused'));
    await expect(waitForSsh(request({ dial, timeoutMs: 300 }))).rejects.toThrow(
      'ssh login to web timed out after 0 s. Last: web (127.0.0.1) refuses connections to port 1.',
    );
  });

  test('a login refused at first may still be accepted', async () => {
    let tries = 0;
    await using guest = await startFakeGuest({
      authenticate: (context) => {
        if (context.method === 'publickey' && ++tries > 1) context.accept();
        else context.reject();
      },
    });
    const said: string[] = [];
    await using _connection = await waitForSsh(request({ port: guest.port, onProgress: (message) => said.push(message) }));
    expect(said.at(-1)).toMatch(/^ssh on web does not accept the login of root yet/);
  });

  test('a login that stays refused ends the wait long before the boot time', async () => {
    await using guest = await startFakeGuest({ authenticate: (context) => context.reject() });
    const waiting = waitForSsh(request({ port: guest.port, timeoutMs: 600_000, refusalGraceMs: 900 }));
    await expect(waiting).rejects.toMatchObject({ code: 'guest.refused', details: { reason: 'login' } });
  });

  test.each([
    ['that refuses the login', 'guest.refused'],
    ['that hangs up', 'guest.unreachable'],
  ])('a guest %s is tried as often as wanted, one that is not up yet for as long as it may boot', async (_, code) => {
    await using guest = await startFakeGuest({ authenticate: (context) => context.reject() });
    const hangUp: Dial = async () => {
      const stream = new PassThrough();
      stream.end();
      return stream;
    };
    const answering = code === 'guest.refused' ? loopbackDial() : hangUp;
    const notYet = booting(['silent', 'refused', 'silent']);
    const dial: Dial = async (...args) => (notYet.calls < 3 ? await notYet(...args) : await answering(...args));
    const waiting = waitForSsh(request({ port: guest.port, dial, timeoutMs: 600_000, refusalGraceMs: Infinity, tries: 1 }));
    await expect(waiting).rejects.toMatchObject({ code });
    expect(notYet.calls).toBe(3);
  });

  test('no dial takes longer than wanted', async () => {
    const asked: number[] = [];
    const dial: Dial = async (_address, _port, options) => {
      asked.push(options?.timeoutMs ?? 0);
      throw new EngineError('guest.unreachable', 'no');
    };
    await expect(waitForSsh(request({ dial, timeoutMs: 300, dialMs: 40 }))).rejects.toMatchObject({ code: 'guest.unreachable' });
    expect(Math.max(...asked)).toBeLessThanOrEqual(40);
  });

  test('a changed host key ends it at once', async () => {
    await using guest = await startFakeGuest();
    const hostKeys = memoryHostKeys();
    hostKeys.keys.set('web', Buffer.from('another'));
    const waiting = waitForSsh(request({ port: guest.port, hostKeys, timeoutMs: 600_000 }));
    await expect(waiting).rejects.toMatchObject({ code: 'guest.refused', details: { reason: 'host-key' } });
    expect(guest.seen.filter((line) => line === 'connected')).toHaveLength(1);
  });

  test('a host that is gone ends it at once', async () => {
    const dial: Dial = async () => {
      throw new EngineError('host.unavailable', 'The host of the environment has ended.');
    };
    await expect(waitForSsh(request({ dial }))).rejects.toMatchObject({ code: 'host.unavailable' });
  });

  test('a bug in the adapter is not mistaken for a booting guest', async () => {
    const dial: Dial = async () => {
      throw new TypeError('bug');
    };
    await expect(waitForSsh(request({ dial }))).rejects.toThrow(TypeError);
  });

  for (const stage of ['no answer', 'refused', 'login refused', 'silent server'] as const) {
    test(`a VM that stops while it is waited for (${stage}) ends it with that reason`, async () => {
      const stop = new AbortController();
      await using guest = await startFakeGuest(
        stage === 'silent server' ? { raw: () => stop.abort(stopped()) } : { authenticate: (context) => context.reject() },
      );
      const hang: Dial = async (_address, _port, options) =>
        await new Promise((_resolve, reject) => options?.signal?.addEventListener('abort', () => reject(new Error('aborted'))));
      const dial =
        stage === 'no answer' ? hang : stage === 'refused' ? booting(Array.from({ length: 1000 }, () => 'refused')) : loopbackDial();
      const waiting = waitForSsh(
        request({
          dial,
          port: guest.port,
          signal: stop.signal,
          onProgress: (message) => {
            const expected = { 'no answer': 'to answer', refused: 'is up', 'login refused': 'does not accept', 'silent server': '-' }[
              stage
            ];
            if (message.includes(expected)) setImmediate(() => stop.abort(stopped()));
          },
        }),
      );
      await expect(waiting).rejects.toMatchObject({ code: 'vm.not-running' });
    });
  }

  test('is cancelled', async () => {
    await expect(waitForSsh(request({ signal: AbortSignal.abort() }))).rejects.toMatchObject({ code: 'cancelled' });
  });
});

function stopped(): EngineError {
  return new EngineError('vm.not-running', 'VM web was stopped.');
}
