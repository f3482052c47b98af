import { describe, expect, test } from 'vitest';
import { type BootState, waitingStage } from '../../../../src-shared/boot.ts';
import { EngineError } from '../../../../src-shared/errors.ts';
import { silentLog } from '../../core/log.ts';
import { type BootSources, type BootSubject, BootWatch } from './boot-watch.ts';
import type { Surroundings } from './facts.ts';

const AROUND: Surroundings = { linksDown: [], dhcpServer: undefined, neighbour: undefined, suspended: false, agent: false };
const SUBJECT: BootSubject = {
  vm: 'web',
  user: 'root',
  address: '192.168.200.2',
  network: 'front',
  startedAt: 1_000_000,
  continued: false,
  cloudInit: false,
};

/** A source that yields what it is given, until it is aborted. */
class Feed<T> {
  readonly #waiting: T[] = [];
  #wake: () => void = () => undefined;

  give(value: T): void {
    this.#waiting.push(value);
    this.#wake();
  }

  async *read(signal: AbortSignal): AsyncGenerator<T> {
    signal.addEventListener('abort', () => this.#wake());
    while (!signal.aborted) {
      const next = this.#waiting.shift();
      if (next === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
      else yield next;
    }
  }
}

interface Lab extends Disposable {
  readonly watch: BootWatch;
  print(text: string): void;
  dhcp(text: string): void;
  /** Resolves when the state fulfils the condition. */
  until(condition: (state: BootState) => boolean): Promise<void>;
}

function lab(subject: Partial<BootSubject> = {}): Lab {
  const stop = new AbortController();
  const serial = new Feed<{ bytes: Uint8Array; fresh: boolean }>();
  const dhcp = new Feed<Uint8Array>();
  const sources: BootSources = {
    serial: (signal) => serial.read(signal),
    dhcp: { mac: '54:52:c0:a8:c8:02', log: (signal) => dhcp.read(signal) },
    around: async () => await Promise.resolve(AROUND),
  };
  let changed: () => void = () => undefined;
  const watch = new BootWatch({ ...SUBJECT, ...subject }, sources, {
    signal: stop.signal,
    log: silentLog,
    onChange: () => changed(),
    now: () => 2_000_000,
  });
  watch.begin();
  return {
    watch,
    print: (text) => serial.give({ bytes: Buffer.from(text), fresh: true }),
    dhcp: (text) => dhcp.give(Buffer.from(`Jan  1 10:00:00 dnsmasq-dhcp[1]: ${text}\n`)),
    async until(condition) {
      while (!condition(watch.state())) await new Promise<void>((resolve) => (changed = resolve));
    },
    [Symbol.dispose]: () => stop.abort(),
  };
}

const waitingFor = (id: string) => (state: BootState) => waitingStage(state)?.id === id;
const refusedBy = new EngineError('guest.unreachable', 'no');

test('evidence moves it on, and says when ssh is worth trying', async () => {
  using it = lab({ startedAt: 0 });
  expect(it.watch.mayAnswer()).toBe(false);
  it.print('SYSLINUX 6.04\n');
  await it.until(waitingFor('kernel'));
  it.print('[    0.0000] Linux version 6.1\n');
  await it.until(waitingFor('address-asked'));
  const news = it.watch.news(600_000, undefined);
  it.dhcp('DHCPACK(b) 192.168.200.2 54:52:c0:a8:c8:02 web');
  await news;
  await it.until(waitingFor('ssh'));
  expect(it.watch.mayAnswer()).toBe(true);
  it.watch.refused('refused', refusedBy);
  expect(waitingStage(it.watch.state())?.id).toBe('ssh');
  it.watch.refused('login', refusedBy);
  expect(waitingStage(it.watch.state())?.id).toBe('login');
  it.watch.loggedIn('login of root');
  expect(waitingStage(it.watch.state())).toBeUndefined();
});

test('an agent that answers is news, and ssh is worth trying; it counts until it is silent, or the guest starts over', async () => {
  using it = lab();
  expect(it.watch.mayAnswer()).toBe(false);
  const news = it.watch.news(600_000, undefined);
  it.watch.agentAnswers(true);
  await news;
  expect(it.watch.mayAnswer()).toBe(true);
  expect(it.watch.state()).toMatchObject({ agent: 2_000_000 });
  it.watch.agentAnswers(false);
  expect(it.watch.state().agent).toBeUndefined();
  it.watch.agentAnswers(true);
  it.watch.restarted();
  expect(it.watch.state().agent).toBeUndefined();
});

test('a guest that continues from a snapshot, and one with an unknown start, may answer at once', () => {
  using continued = lab({ continued: true });
  using unknown = lab({ startedAt: undefined });
  expect(continued.watch.mayAnswer()).toBe(true);
  expect(unknown.watch.mayAnswer()).toBe(true);
});

describe('a guest that was up', () => {
  test('is not any more after a panic, and up again after its reboot', async () => {
    using it = lab();
    it.print('[    0.0000] Linux version 6.1\n');
    await it.until(waitingFor('address-asked'));
    it.watch.loggedIn('login of root');
    const over = it.watch.startsOver(new AbortController().signal);
    it.print('[ 10.55] Kernel panic - not syncing: x\n');
    await over;
    await it.until((state) => state.hang !== null);
    expect(it.watch.state().hang).toMatchObject({ cause: expect.stringContaining('panicked') as string });
    expect(it.watch.mayAnswer()).toBe(false);
    expect(it.watch.failedForMs()).toBe(0);
    it.print('[    0.0000] Linux version 6.1\n');
    await it.until((state) => state.hang === null);
    expect(it.watch.failedForMs()).toBeUndefined();
    expect(it.watch.startedAt).toBe(2_000_000);
    it.watch.loggedIn('login of root');
    expect(waitingStage(it.watch.state())).toBeUndefined();
  });

  test('is not any more when libvirt reports a reboot', async () => {
    using it = lab();
    it.print('[    0.0000] Linux version 6.1\n');
    await it.until(waitingFor('address-asked'));
    it.watch.loggedIn('login of root');
    const over = it.watch.startsOver(new AbortController().signal);
    it.watch.restarted();
    await over;
    expect(waitingStage(it.watch.state())?.id).toBe('bootloader');
  });
});

test('cloud-init: at work, finished, failed', () => {
  using it = lab({ cloudInit: true });
  it.watch.loggedIn('login of root');
  it.watch.cloudInitSays(undefined);
  expect(waitingStage(it.watch.state())?.id).toBe('cloud-init');
  it.watch.cloudInitSays({ failed: 'bad' });
  expect(it.watch.state().hang?.cause).toContain('bad');
  it.watch.cloudInitSays({ failed: undefined });
  expect(waitingStage(it.watch.state())).toBeUndefined();
});

test('waiting for news is cancelled', async () => {
  using it = lab();
  const stop = new AbortController();
  const news = it.watch.news(600_000, stop.signal);
  stop.abort();
  await expect(news).rejects.toMatchObject({ code: 'cancelled' });
});
