import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLog, silentLog } from '../core/log.ts';
import { until } from '../core/until.ts';
import { type ApplianceOptions, applianceEnvironment, applianceLimit, Turns } from './appliance.ts';
import { customize } from './customize.ts';
import { type SysprepRequest, sysprep } from './sysprep.ts';

const GIB = 1024 ** 3;
const secret = 'correct horse: "battery" $1';
let folder = '';
const at = (name: string): string => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago appliance, '));
  mkdirSync(at('bin'));
  // A PATH with a fake libguestfs, or none.
  for (const tool of ['setpriv', 'timeout', 'sh', 'cat', 'sleep', 'tr', 'kill', 'dd']) {
    const path = ['/usr/bin', '/bin'].map((dir) => join(dir, tool)).find(existsSync);
    if (path !== undefined) symlinkSync(path, at(`bin/${tool}`));
  }
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function fake(tool: string, script: string): void {
  writeFileSync(at(`bin/${tool}`), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

function options(change: Partial<ApplianceOptions> = {}): ApplianceOptions {
  return { accelerator: 'tcg', scratch: at('scratch'), log: silentLog, env: { PATH: at('bin'), OUT: folder }, ...change };
}

const request = (change: Partial<SysprepRequest> = {}): SysprepRequest => ({
  vm: 'web',
  disk: at('disk.qcow2'),
  format: 'qcow2',
  family: 'debian',
  nics: [],
  publicKey: 'ssh-ed25519 AAAA lago',
  rootPassword: secret,
  ...change,
});

const RECORD =
  'tr "\\0" "\\n" </proc/$$/cmdline >"$OUT/argv"; tr "\\0" "\\n" </proc/$$/environ >"$OUT/environ"; cat commands key.pub password >"$OUT/files"';

describe('secrets', () => {
  test('are in no argument, variable, log line or error of virt-sysprep', async () => {
    fake(
      'virt-sysprep',
      `${RECORD}; echo "Setting ${secret.replaceAll(/["$]/g, '\\$&')}"; echo "virt-sysprep: error: bad ${secret.replaceAll(/["$]/g, '\\$&')}" >&2; exit 1`,
    );
    const lines: string[] = [];
    const failure = await sysprep(request(), options({ log: createLog((_, line) => lines.push(line)) })).catch((error: unknown) => error);
    expect(readFileSync(at('argv'), 'utf8').split('\n')).toEqual(
      expect.arrayContaining(['--format', 'qcow2', '-a', at('disk.qcow2'), '--commands-from-file', 'commands']),
    );
    for (const seen of [
      readFileSync(at('argv'), 'utf8'),
      readFileSync(at('environ'), 'utf8'),
      lines.join('\n'),
      JSON.stringify(failure),
      String((failure as Error).message),
    ]) {
      expect(seen).not.toContain('battery');
      expect(seen).not.toContain('AAAA');
    }
    expect(lines).toEqual(['Setting •••', 'virt-sysprep: error: bad •••']);
    expect(readFileSync(at('files'), 'utf8')).toContain(`${secret}\n`);
    expect(existsSync(at('scratch'))).toBe(false);
  });

  test('are unreadable for other users during the run', async () => {
    symlinkSync('/usr/bin/stat', at('bin/stat'));
    fake('virt-sysprep', 'stat -c "%a %n" . password commands >"$OUT/modes"');
    await sysprep(request(), options());
    expect(readFileSync(at('modes'), 'utf8')).toBe('700 .\n600 password\n600 commands\n');
  });

  test('of a build are in no argument either', async () => {
    fake(
      'virt-customize',
      'tr "\\0" "\\n" </proc/$$/cmdline >"$OUT/argv"; while [ $# -gt 1 ]; do shift; [ "$1" = --commands-from-file ] && cat "$2" >"$OUT/files"; done; echo "Setting hunter22"; pwd >"$OUT/cwd"',
    );
    const lines: string[] = [];
    await customize(
      {
        vm: 'web',
        name: 'root',
        disk: at('disk.qcow2'),
        format: 'qcow2',
        options: { 'root-password': 'password:hunter22', 'ssh-inject': '' },
        publicKey: 'ssh-ed25519 AAAA lago',
        cwd: folder,
        network: false,
        secrets: [],
      },
      options({ log: createLog((_, line) => lines.push(line)) }),
    );
    const argv = readFileSync(at('argv'), 'utf8');
    expect(argv).not.toMatch(/hunter22|AAAA/);
    expect(argv).toContain('--no-network\n');
    expect(readFileSync(at('files'), 'utf8')).toBe('root-password password:hunter22\nssh-inject root:string:ssh-ed25519 AAAA\n');
    expect(readFileSync(at('cwd'), 'utf8')).toBe(`${folder}\n`);
    expect(lines).toEqual(['Setting •••']);
  });

  test('of more than one line are refused', async () => {
    await expect(sysprep(request({ rootPassword: 'a\nb' }), options())).rejects.toMatchObject({ code: 'input.invalid' });
  });
});

describe('failures', () => {
  test('a missing program is named with its package', async () => {
    await expect(sysprep(request(), options())).rejects.toMatchObject({
      code: 'host.missing-tool',
      message: expect.stringContaining('virt-sysprep is not installed'),
      hint: expect.stringContaining('libguestfs-tools'),
    });
  });

  test.each<[string, string, string, string]>([
    ['virt-sysprep: error: libguestfs error: weird', 'host.unavailable', 'libguestfs error: weird.', 'libguestfs-test-tool'],
    ['write: No space left on device', 'host.no-space', 'No space left on device.', '/var/tmp'],
    ['virt-sysprep: error: no operating systems were found in the guest image', 'input.invalid', 'no operating systems', 'bootstrap: none'],
    ['supermin: failed to find a suitable kernel (host_cpu=x86_64).', 'host.unavailable', 'suitable kernel', '/boot/vmlinuz'],
  ])('%s', async (said, code, message, hint) => {
    fake('virt-sysprep', `echo starting; echo '${said}' >&2; exit 1`);
    await expect(sysprep(request(), options())).rejects.toMatchObject({
      code,
      message: expect.stringMatching(new RegExp(`^Failed to bootstrap web \\(.*disk\\.qcow2\\): .*${message.replace('.', '\\.')}`)),
      hint: expect.stringContaining(hint),
      details: { exit: 1, stderr: expect.stringContaining(said) as string },
    });
  });

  test('a hung program is detected, explained, and ended with everything it started', async () => {
    fake('virt-sysprep', 'echo "[   0.3] Examining the guest ..."; sleep 1000 & echo $! >"$OUT/child"; wait');
    await expect(sysprep(request(), options({ quietMs: 1000 }))).rejects.toMatchObject({
      code: 'host.unavailable',
      message: expect.stringContaining('virt-sysprep hangs, it said nothing for 1 s after “[   0.3] Examining the guest ...”'),
      hint: expect.stringContaining('libguestfs-test-tool'),
    });
    await childGone();
    expect(existsSync(at('scratch'))).toBe(false);
  });

  test('one with occasional output does not count as hung', async () => {
    fake('virt-sysprep', 'for n in 1 2 3 4 5 6 7 8 9 10; do echo $n; sleep 0.4; done');
    await sysprep(request(), options({ quietMs: 3000 }));
  });

  test('cancelling ends it with everything it started', async () => {
    fake('virt-sysprep', 'sleep 1000 & echo $! >"$OUT/child"; echo up; wait');
    const stop = new AbortController();
    const log = createLog(() => stop.abort());
    await expect(sysprep(request(), options({ signal: stop.signal, log }))).rejects.toMatchObject({ code: 'cancelled' });
    await childGone();
    expect(existsSync(at('scratch'))).toBe(false);
  });
});

async function childGone(): Promise<void> {
  const pid = Number(readFileSync(at('child'), 'utf8'));
  const ended = (): boolean => !existsSync(`/proc/${pid}`) || /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  await until(async () => (ended() ? true : undefined), {
    everyMs: 50,
    timeoutMs: 5000,
    failure: () => new Error(`${pid} still runs`) as never,
  });
}

describe('turns', () => {
  test.each([
    [16 * GIB, 8, 8],
    [16 * GIB, 2, 2],
    [4 * GIB, 8, 3],
    [1.5 * GIB, 8, 1],
    [0, 8, 1],
  ])('%d bytes and %d processors allow %d appliances', (memory, processors, limit) =>
    expect(applianceLimit(memory, processors)).toBe(limit),
  );

  test('no more than the limit at once, and waiters are notified', async () => {
    const turns = new Turns(() => 2);
    let running = 0;
    let most = 0;
    let told = 0;
    const gates: (() => void)[] = [];
    const works = [1, 2, 3, 4].map(
      async () =>
        await turns.take(
          undefined,
          () => told++,
          async () => {
            most = Math.max(most, ++running);
            await new Promise<void>((done) => gates.push(done));
            running--;
          },
        ),
    );
    for (let opened = 0; opened < 4; opened++) {
      const gate = await until(async () => gates[opened], {
        everyMs: 10,
        timeoutMs: 10_000,
        failure: () => new Error('nobody came') as never,
      });
      gate();
    }
    await Promise.all(works);
    expect([most, told]).toEqual([2, 2]);
  });

  test('a cancelled wait takes no slot, a failure frees its slot', async () => {
    const turns = new Turns(() => 1);
    let end = (): void => undefined;
    const first = turns.take(
      undefined,
      () => undefined,
      async () =>
        await new Promise<void>((_, failed) => {
          end = () => failed(new Error('mine'));
        }),
    );
    const stop = new AbortController();
    const second = turns.take(
      stop.signal,
      () => stop.abort(),
      async () => 'ran',
    );
    await expect(second).rejects.toMatchObject({ code: 'cancelled' });
    end();
    await expect(first).rejects.toThrow('mine');
    expect(
      await turns.take(
        undefined,
        () => undefined,
        async () => 'ran',
      ),
    ).toBe('ran');
  });
});

describe('environment of libguestfs', () => {
  const base = { scratch: '/s', accelerator: 'tcg' } as const;
  test('sets what libguestfs cannot detect', () => {
    expect(applianceEnvironment(base, {})).toEqual({
      LIBGUESTFS_BACKEND: 'direct',
      LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg',
      LIBGUESTFS_TMPDIR: '/s/tmp',
    });
    expect(applianceEnvironment({ ...base, accelerator: 'kvm' }, {})).not.toHaveProperty('LIBGUESTFS_BACKEND_SETTINGS');
  });
  test('keeps what the user has set', () => {
    expect(applianceEnvironment(base, { LIBGUESTFS_BACKEND: 'libvirt', LIBGUESTFS_BACKEND_SETTINGS: 'network_bridge=x' })).toMatchObject({
      LIBGUESTFS_BACKEND: 'libvirt',
      LIBGUESTFS_BACKEND_SETTINGS: 'network_bridge=x',
    });
  });
});
