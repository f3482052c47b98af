import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { TerminalStatus } from '../../../../src-shared/terminal.ts';
import { silentLog } from '../../core/log.ts';
import { ConsoleHub, type ConsoleSeat, KEPT_BYTES, lastLines } from './console-hub.ts';
import { openSharedConsole } from './shared-console.ts';

/** The guest's end of a console: what was typed into it, and a way to print. */
class Guest extends Duplex {
  typed = '';
  reads = 0;
  /** Answers the end of the input; set once that has come. */
  answer: (() => void) | undefined;
  override _read(): void {
    this.reads += 1;
  }
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.typed += String(chunk);
    done();
  }
  override _final(done: () => void): void {
    this.answer = () => void this.push(null);
    done();
  }
}

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lago-hub-'));
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(dir, { recursive: true });
});

function bench(options: { readonly log?: string } = {}) {
  const guests: Guest[] = [];
  const vm = { running: true, refuse: undefined as Error | undefined };
  const hub = new ConsoleHub({
    open: async () => {
      if (vm.refuse !== undefined) throw vm.refuse;
      const guest = new Guest({ allowHalfOpen: false });
      guests.push(guest);
      return await Promise.resolve(guest);
    },
    log: options.log,
    isRunning: () => vm.running,
    engineLog: silentLog,
  });
  return { hub, guests, vm };
}

/** Joins as a user who remembers everything. */
async function join1(hub: ConsoleHub) {
  const user = { text: '', statuses: [] as TerminalStatus[], notices: [] as string[], takes: true };
  const seat: ConsoleSeat = await hub.join({
    onOutput: (bytes) => {
      user.text += String(bytes);
      return user.takes;
    },
    onStatus: (status, { notice }) => {
      user.statuses.push(status);
      if (notice !== undefined) user.notices.push(notice);
    },
  });
  user.text = String(seat.history);
  return { user, seat };
}

const taken = () => new EngineError('conflict.taken', 'Another program has taken the serial console of web.');

describe('a console without a log', () => {
  it('is opened once for all users, who see the same and all type', async () => {
    const { hub, guests } = bench();
    const first = await join1(hub);
    await vi.waitFor(() => expect(guests).toHaveLength(1));
    guests[0]?.push('hello ');
    await vi.waitFor(() => expect(first.user.text).toBe('hello '));
    const second = await join1(hub);
    expect(second.user.text).toBe('hello ');
    guests[0]?.push('again');
    await vi.waitFor(() => expect([first.user.text, second.user.text]).toEqual(['hello again', 'hello again']));
    for (const { seat } of [first, second]) seat.write(Buffer.from('x'), () => undefined);
    await vi.waitFor(() => expect(guests[0]?.typed).toBe('xx'));
    expect(guests).toHaveLength(1);
  });

  it('closes with its last user, and opens again for the next', async () => {
    const { hub, guests } = bench();
    const [first, second] = [await join1(hub), await join1(hub)];
    await vi.waitFor(() => expect(guests).toHaveLength(1));
    first.seat.leave();
    first.seat.leave();
    expect(guests[0]?.destroyed).toBe(false);
    second.seat.leave();
    expect(guests[0]?.destroyed).toBe(true);
    await join1(hub);
    await vi.waitFor(() => expect(guests).toHaveLength(2));
  });

  it('keeps the last megabyte', async () => {
    const { hub, guests } = bench();
    const { user } = await join1(hub);
    await vi.waitFor(() => expect(guests).toHaveLength(1));
    for (let piece = 0; piece < 16; piece++) guests[0]?.push(Buffer.alloc(KEPT_BYTES / 8, 65 + piece));
    await vi.waitFor(() => expect(user.text).toHaveLength(2 * KEPT_BYTES));
    const { history } = (await join1(hub)).seat;
    expect(history.length).toBeGreaterThanOrEqual(KEPT_BYTES);
    expect(history.length).toBeLessThan(KEPT_BYTES * 1.2);
    expect(String(history.subarray(-1))).toBe('P');
  });

  it('waits for its slowest user', async () => {
    const { hub, guests } = bench();
    const slow = await join1(hub);
    const quick = await join1(hub);
    await vi.waitFor(() => expect(guests).toHaveLength(1));
    slow.user.takes = false;
    guests[0]?.push('one ');
    await vi.waitFor(() => expect(guests[0]?.isPaused()).toBe(true));
    guests[0]?.push('two');
    expect(quick.user.text).toBe('one ');
    slow.user.takes = true;
    slow.seat.ready();
    await vi.waitFor(() => expect([slow.user.text, quick.user.text]).toEqual(['one two', 'one two']));
  });

  it('does not wait for a slow user who left', async () => {
    const { hub, guests } = bench();
    const slow = await join1(hub);
    const quick = await join1(hub);
    await vi.waitFor(() => expect(guests).toHaveLength(1));
    slow.user.takes = false;
    guests[0]?.push('one ');
    await vi.waitFor(() => expect(guests[0]?.isPaused()).toBe(true));
    slow.seat.leave();
    guests[0]?.push('two');
    await vi.waitFor(() => expect(quick.user.text).toBe('one two'));
  });

  it('says that another program took it, and takes it back only when asked', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    const { hub, guests } = bench();
    const { user, seat } = await join1(hub);
    await vi.waitFor(() => expect(guests).toHaveLength(1));
    guests[0]?.destroy(taken());
    await vi.waitFor(() => expect(user.statuses.at(-1)).toBe('taken'));
    expect(user.notices).toEqual(['Another program has taken the serial console of web']);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(guests).toHaveLength(1);
    seat.reconnect();
    await vi.waitFor(() => expect(user.statuses.at(-1)).toBe('connected'));
    expect(guests).toHaveLength(2);
  });

  it('waits while the VM is off and opens when it runs', async () => {
    const { hub, guests, vm } = bench();
    const { user } = await join1(hub);
    await vi.waitFor(() => expect(guests).toHaveLength(1));
    vm.running = false;
    guests[0]?.destroy(new EngineError('vm.not-running', 'VM web was shut down.'));
    await vi.waitFor(() => expect(user.statuses.at(-1)).toBe('waiting'));
    expect(user.notices).toEqual(['VM web was shut down; connects again when the VM runs']);
    hub.checkVm();
    expect(user.statuses.at(-1)).toBe('waiting');
    vm.running = true;
    hub.checkVm();
    await vi.waitFor(() => expect(user.statuses.at(-1)).toBe('connected'));
  });
});

describe('a console with a log', () => {
  it('begins with what was printed before, and repeats nothing', async () => {
    const log = join(dir, 'web.console');
    await writeFile(log, 'boot\nlogin: ');
    const { hub, guests } = bench({ log });
    const { user } = await join1(hub);
    expect(user.text).toBe('boot\nlogin: ');
    await vi.waitFor(() => expect(guests).toHaveLength(1));
    // Both report the same bytes, in any order.
    guests[0]?.push('ro');
    await appendFile(log, 'ro');
    await appendFile(log, 'ot');
    guests[0]?.push('ot');
    await vi.waitFor(() => expect(user.text).toBe('boot\nlogin: root'));
    expect((await join1(hub)).user.text).toBe('boot\nlogin: root');
  });

  it('goes on while another program has the console, and over a restart of the VM', async () => {
    const log = join(dir, 'web.console');
    await writeFile(log, '');
    const { hub, guests, vm } = bench({ log });
    const { user } = await join1(hub);
    await vi.waitFor(() => expect(guests).toHaveLength(1));
    guests[0]?.destroy(taken());
    await vi.waitFor(() => expect(user.statuses.at(-1)).toBe('taken'));
    await appendFile(log, 'meanwhile ');
    await vi.waitFor(() => expect(user.text).toBe('meanwhile '));
    vm.running = false;
    await appendFile(log, 'restarted');
    await vi.waitFor(() => expect(user.text).toBe('meanwhile restarted'));
  });

  it('reads a log that comes with the start of the VM from its beginning', async () => {
    const log = join(dir, 'web.console');
    const { hub, guests, vm } = bench({ log });
    vm.running = false;
    vm.refuse = new EngineError('vm.not-running', 'VM web is not running.');
    const { user } = await join1(hub);
    await vi.waitFor(() => expect(user.statuses.at(-1)).toBe('waiting'));
    await writeFile(log, 'first line');
    vm.running = true;
    vm.refuse = undefined;
    hub.checkVm();
    await vi.waitFor(() => expect(user.text).toBe('first line'));
    guests[0]?.push('first line');
    await appendFile(log, '!');
    await vi.waitFor(() => expect(user.text).toBe('first line!'));
  });

  it('uses the console where the log has died', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const log = join(dir, 'web.console');
    await writeFile(log, 'before ');
    const { hub, guests } = bench({ log });
    const { user } = await join1(hub);
    await vi.waitFor(() => expect(guests[0]?.listenerCount('data')).toBe(1));
    guests[0]?.push('only ');
    guests[0]?.push('here ');
    await vi.waitFor(async () => {
      await vi.advanceTimersByTimeAsync(1000);
      expect(user.text).toBe('before only here ');
    });
    guests[0]?.push('now');
    await vi.waitFor(() => expect(user.text).toBe('before only here now'));
  });
});

describe('a shared console as a stream', () => {
  it('begins with the last lines and ends with the reason', async () => {
    const log = join(dir, 'web.console');
    await writeFile(log, 'one\ntwo\nthree\nlogin: ');
    const { hub, guests } = bench({ log });
    const stream = await openSharedConsole(hub, { lines: 2 });
    let text = '';
    stream.on('data', (chunk: Buffer) => {
      text += String(chunk);
    });
    await vi.waitFor(() => expect(text).toBe('three\nlogin: '));
    stream.write('root');
    await vi.waitFor(() => expect(guests[0]?.typed).toBe('root'));
    const failed = new Promise((resolve) => stream.once('error', resolve));
    guests[0]?.destroy(taken());
    expect(await failed).toMatchObject({ code: 'conflict.taken' });
  });

  it('rejects where the console cannot be opened, and when it is cancelled', async () => {
    const { hub, vm } = bench();
    vm.refuse = new EngineError('vm.not-running', 'VM web is not running.');
    await expect(openSharedConsole(hub, {})).rejects.toMatchObject({ code: 'vm.not-running' });
    await expect(openSharedConsole(hub, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('the end of input', () => {
  /** A stream at a console, some input, and its end. */
  async function ended() {
    const { hub, guests } = bench();
    const stream = await openSharedConsole(hub, {});
    const user = { text: '', error: undefined as unknown };
    stream.on('data', (chunk: Buffer) => {
      user.text += String(chunk);
    });
    stream.on('error', (error) => {
      user.error = error;
    });
    const [guest] = guests;
    if (guest === undefined) throw new Error('No console was opened.');
    return { hub, guests, guest, stream, user };
  }

  it('waits for the answer of the console, and shows what is printed meanwhile', async () => {
    const { guest, stream, user } = await ended();
    stream.end('all of it');
    await vi.waitFor(() => expect(guest.answer).toBeDefined());
    expect(guest.typed).toBe('all of it');
    guest.push('printed');
    await vi.waitFor(() => expect(user.text).toBe('printed'));
    expect([guest.destroyed, stream.closed]).toEqual([false, false]);
    guest.answer?.();
    await vi.waitFor(() => expect([guest.destroyed, stream.closed]).toEqual([true, true]));
    expect(user.error).toBeUndefined();
  });

  it('waits for nothing while others use the console', async () => {
    const { hub, guest, stream } = await ended();
    const other = await join1(hub);
    stream.end('x');
    await vi.waitFor(() => expect(stream.closed).toBe(true));
    expect([guest.answer, guest.destroyed]).toEqual([undefined, false]);
    other.seat.write(Buffer.from('y'), () => undefined);
    expect(guest.typed).toBe('xy');
  });

  it('leaves at once when told to', async () => {
    const { guest, stream, user } = await ended();
    stream.end('x');
    await vi.waitFor(() => expect(guest.answer).toBeDefined());
    stream.destroy();
    expect(guest.destroyed).toBe(true);
    await vi.waitFor(() => expect(stream.closed).toBe(true));
    expect(user.error).toBeUndefined();
  });

  it('opens the console again for one who came meanwhile', async () => {
    const { hub, guests, guest, stream } = await ended();
    stream.end('x');
    await vi.waitFor(() => expect(guest.answer).toBeDefined());
    const other = await join1(hub);
    guest.answer?.();
    await vi.waitFor(() => expect(guests).toHaveLength(2));
    await vi.waitFor(() => expect(other.user.statuses.at(-1)).toBe('connected'));
    other.seat.write(Buffer.from('y'), () => undefined);
    expect(guests[1]?.typed).toBe('y');
  });

  it('fails with the reason when the console breaks before it has taken all', async () => {
    const { guest, stream, user } = await ended();
    stream.end('x');
    await vi.waitFor(() => expect(guest.answer).toBeDefined());
    guest.destroy(taken());
    await vi.waitFor(() => expect(user.error).toMatchObject({ code: 'conflict.taken' }));
  });

  it('gives up on a guest that neither reads nor prints', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
    const { guest, stream, user } = await ended();
    stream.end(Buffer.alloc(30_000));
    await vi.waitFor(() => expect(guest.answer).toBeDefined());
    await vi.advanceTimersByTimeAsync(35_000);
    guest.push('x');
    await vi.waitFor(() => expect(user.text).toBe('x'));
    await vi.advanceTimersByTimeAsync(9000);
    expect(user.error).toBeUndefined();
    await vi.advanceTimersByTimeAsync(3000);
    await vi.waitFor(() => expect(user.error).toMatchObject({ code: 'guest.unreachable' }));
    expect(guest.destroyed).toBe(true);
  });
});

describe('the last lines', () => {
  it.each([
    ['a\nb\nc\n', 2, 'b\nc\n'],
    ['a\nb\nc', 2, 'b\nc'],
    ['a\nb\nc', 0, ''],
    ['a\nb', 9, 'a\nb'],
    ['', 3, ''],
  ])('of %j, %i of them', (text, lines, expected) => {
    expect(String(lastLines(Buffer.from(text), lines, 100))).toBe(expected);
  });

  it('are bounded in bytes', () => {
    expect(String(lastLines(Buffer.from('0123456789\nabc'), 5, 6))).toBe('abc');
    expect(String(lastLines(Buffer.from('0123456789'), 5, 4))).toBe('6789');
  });
});
