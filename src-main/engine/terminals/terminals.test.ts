import { Duplex } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { EngineError } from '../../../src-shared/errors.ts';
import type { PrefixState } from '../../../src-shared/state.ts';
import type { TerminalState } from '../../../src-shared/terminal.ts';
import { silentLog } from '../core/log.ts';
import type { TerminalRequest, Vms } from '../engine.ts';
import type { Consoles } from '../runtime/console/consoles.ts';
import type { ShellRequest, ShellSession } from '../runtime/shell-request.ts';
import { createTerminals } from './terminals.ts';

/** A shell in a guest: what was typed into it, and a way to print and to end. */
class Shell extends Duplex {
  typed = '';
  size: readonly [number, number] = [0, 0];
  code = 0;
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.typed += String(chunk);
    done();
  }
  exit(code: number): void {
    this.code = code;
    this.push(null);
  }
}

function bench() {
  const shells: Shell[] = [];
  const vm = { status: 'running', refuse: undefined as Error | undefined, wait: undefined as Promise<void> | undefined, known: true };
  const published: (readonly TerminalState[])[] = [];
  const shell = async (_prefix: string, request: ShellRequest): Promise<ShellSession> => {
    await vm.wait;
    if (vm.refuse !== undefined) throw vm.refuse;
    const made = new Shell();
    made.size = [request.pty?.columns ?? 0, request.pty?.rows ?? 0];
    shells.push(made);
    return {
      stream: made,
      stderr: undefined,
      resize: (columns, rows) => {
        made.size = [columns, rows];
      },
      get exit() {
        return Promise.resolve(made.code);
      },
      [Symbol.asyncDispose]: async () => await Promise.resolve(),
    };
  };
  const states = (): readonly PrefixState[] =>
    vm.known ? [{ id: 'p', path: '/p', vms: [{ name: 'web', status: vm.status }] } as unknown as PrefixState] : [];
  const terminals = createTerminals({
    vms: { shell } as unknown as Vms,
    consoles: {} as Consoles,
    states,
    publish: (list) => published.push(list),
    log: silentLog,
  });
  return { terminals, shells, vm, published, statusOf: (id: string) => terminals.states().find((one) => one.id === id)?.status };
}

function request(session = 't1', columns = 80, rows = 24): TerminalRequest {
  return { session, prefix: 'p', vm: 'web', kind: 'ssh', columns, rows };
}

/** A page that shows everything it gets. */
function show(stream: Duplex) {
  const page = { text: '', stream };
  stream.on('data', (chunk: Buffer) => {
    page.text += String(chunk);
  });
  return page;
}

const open = async (terminals: ReturnType<typeof createTerminals>, wanted = request()) => show((await terminals.open(wanted)).stream);
const connected = async (shells: readonly Shell[], count = 1) => await vi.waitFor(() => expect(shells).toHaveLength(count));

afterEach(() => {
  vi.useRealTimers();
});

describe('a terminal session', () => {
  it('passes bytes and sizes both ways', async () => {
    const { terminals, shells, statusOf } = bench();
    const { stream, resize } = await terminals.open(request('t1', 100, 30));
    const page = show(stream);
    await connected(shells);
    await vi.waitFor(() => expect(statusOf('t1')).toBe('connected'));
    expect(shells[0]?.size).toEqual([100, 30]);
    resize(90, 20);
    expect(shells[0]?.size).toEqual([90, 20]);
    shells[0]?.push('$ ');
    stream.write('ls\r');
    await vi.waitFor(() => expect(page.text).toBe('$ '));
    expect(shells[0]?.typed).toBe('ls\r');
    terminals.close();
  });

  it('keeps what is typed before the shell is there', async () => {
    const { terminals, shells, vm } = bench();
    let resolve = (): void => undefined;
    vm.wait = new Promise((answer) => {
      resolve = answer;
    });
    const page = await open(terminals);
    page.stream.write('early');
    resolve();
    await vi.waitFor(() => expect(shells[0]?.typed).toBe('early'));
    terminals.close();
  });

  it('outlives its page, and draws screen and history for the next one, split UTF-8 included', async () => {
    const { terminals, shells, statusOf } = bench();
    const first = await open(terminals);
    await connected(shells);
    const euro = Buffer.from('€');
    shells[0]?.push('one\r\n');
    shells[0]?.push(euro.subarray(0, 1));
    await vi.waitFor(() => expect(first.text).toContain('one'));
    first.stream.destroy();
    await vi.waitFor(() => expect(first.stream.closed).toBe(true));
    expect(statusOf('t1')).toBe('connected');
    shells[0]?.push(euro.subarray(1));
    shells[0]?.push('\r\n\x1b[31mred\x1b[0m');
    const second = await open(terminals);
    shells[0]?.push(' live');
    await vi.waitFor(() => expect(second.text).toContain(' live'));
    expect(second.text).toMatch(/^one\r\n€\r\n\x1b\[31mred\x1b\[0?m live$/);
    expect(shells).toHaveLength(1);
    terminals.close();
  });

  it('has one page: the later one', async () => {
    const { terminals, shells } = bench();
    const first = await open(terminals);
    await connected(shells);
    const second = await open(terminals);
    await vi.waitFor(() => expect(first.stream.destroyed).toBe(true));
    shells[0]?.push('here');
    await vi.waitFor(() => expect(second.text).toContain('here'));
    terminals.close();
  });

  it('is kept while its VM runs, and only then', async () => {
    const { terminals, shells, vm, statusOf } = bench();
    const page = await open(terminals);
    await connected(shells);
    page.stream.destroy();
    await vi.waitFor(() => expect(page.stream.closed).toBe(true));
    terminals.checkVms();
    expect(statusOf('t1')).toBe('connected');
    vm.status = 'down';
    terminals.checkVms();
    expect(statusOf('t1')).toBeUndefined();
    expect(shells[0]?.destroyed).toBe(true);
  });

  it('ends with its environment and when its tab is closed', async () => {
    const { terminals, shells, vm, published } = bench();
    const [one] = [await open(terminals), await open(terminals, request('t2'))];
    await connected(shells, 2);
    terminals.close('t1');
    expect(published.at(-1)?.map(({ id }) => id)).toEqual(['t2']);
    expect(one?.stream.destroyed).toBe(true);
    vm.known = false;
    terminals.checkVms();
    expect(terminals.states()).toEqual([]);
  });

  it('pauses the guest while the page does not read', async () => {
    const { terminals, shells } = bench();
    const { stream } = await terminals.open(request());
    await connected(shells);
    const shell = shells[0];
    shell?.push(Buffer.alloc(100_000, 65));
    await vi.waitFor(() => expect(shell?.isPaused()).toBe(true));
    const page = show(stream);
    await vi.waitFor(() => expect(page.text).toHaveLength(100_000));
    await vi.waitFor(() => expect(shell?.isPaused()).toBe(false));
    terminals.close();
  });

  it('refuses an id that belongs to another VM, and an environment that is gone', async () => {
    const { terminals } = bench();
    await open(terminals);
    await expect(terminals.open({ ...request(), kind: 'serial' })).rejects.toMatchObject({ code: 'input.invalid' });
    await expect(terminals.open({ ...request('t9'), prefix: 'q' })).rejects.toMatchObject({ code: 'prefix.missing' });
    terminals.close();
  });
});

describe('reconnecting', () => {
  it('stays ended after the user’s exit, until Enter', async () => {
    const { terminals, shells, statusOf } = bench();
    const page = await open(terminals);
    await connected(shells);
    shells[0]?.exit(1);
    await vi.waitFor(() => expect(statusOf('t1')).toBe('ended'));
    expect(page.text).toContain('— session ended; press Enter to connect again —');
    page.stream.write('x');
    page.stream.write('\r');
    await connected(shells, 2);
    terminals.close();
  });

  it.each([129, 137, 143])('connects again after a shell that was killed (%i), with one line', async (code) => {
    const { terminals, shells } = bench();
    const page = await open(terminals);
    await connected(shells);
    shells[0]?.exit(code);
    await connected(shells, 2);
    expect(page.text.match(/web ended the session; connecting again/g)).toHaveLength(1);
    terminals.close();
  });

  it('waits while the VM is off and connects when it runs', async () => {
    const { terminals, shells, vm, statusOf } = bench();
    await open(terminals);
    await connected(shells);
    vm.status = 'down';
    shells[0]?.destroy(new EngineError('vm.not-running', 'VM web was shut down.'));
    await vi.waitFor(() => expect(statusOf('t1')).toBe('waiting'));
    vm.status = 'running';
    terminals.checkVms();
    await connected(shells, 2);
    terminals.close();
  });

  it('begins anew after a revert', async () => {
    const { terminals, shells } = bench();
    const page = await open(terminals);
    await connected(shells);
    const operation = { kind: 'revert', status: 'succeeded', prefix: 'p', endedAt: Date.now() + 1 } as never;
    await vi.waitFor(() => {
      terminals.onOperation(operation);
      expect(shells).toHaveLength(2);
    });
    expect(page.text).toContain('the VM was reverted; connecting again');
    expect(shells[0]?.destroyed).toBe(true);
    terminals.close();
  });

  it('gives up when trying again is useless', async () => {
    const { terminals, vm, statusOf } = bench();
    vm.refuse = new EngineError('guest.refused', 'The host key of web has changed.');
    const page = await open(terminals);
    await vi.waitFor(() => expect(statusOf('t1')).toBe('ended'));
    await vi.waitFor(() => expect(page.text).toContain('The host key of web has changed.'));
    terminals.close();
  });
});
