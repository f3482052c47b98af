import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ByteChannel, ByteChannelEvents } from '../../src-shared/byte-stream.ts';
import { EngineError, toWireError } from '../../src-shared/errors.ts';
import { RETRY_DELAYS, SessionLink } from './session-link.ts';

/** A fake VM whose streams the test opens, ends and refuses. */
function bench(endsByUser = true) {
  const streams: { readonly events: ByteChannelEvents; readonly channel: ByteChannel; ended: boolean }[] = [];
  const notices: string[] = [];
  const states: string[] = [];
  const seen: string[] = [];
  const vm = { running: true, refuse: undefined as unknown };
  const link = new SessionLink({
    endsByUser,
    connect: async (events) => {
      if (vm.refuse !== undefined) throw vm.refuse;
      const entry = {
        events,
        ended: false,
        channel: {
          write: () => true,
          end: () => {
            entry.ended = true;
            events.onEnd(null);
          },
        },
      };
      streams.push(entry);
      return { stream: `stream-${streams.length}`, channel: entry.channel };
    },
    readError: toWireError,
    isRunning: () => vm.running,
    onState: (state) => states.push(state),
    onOpen: () => undefined,
    onData: (bytes, taken) => {
      seen.push(new TextDecoder().decode(bytes));
      taken();
    },
    onNotice: (sentence) => notices.push(sentence),
  });
  return { link, streams, notices, states, seen, vm };
}

const settle = () => vi.advanceTimersByTimeAsync(0);

describe('session link', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('connects and passes bytes on', async () => {
    const { link, streams, states, seen } = bench();
    link.start();
    await settle();
    streams[0]?.events.onData(new TextEncoder().encode('hello'), () => undefined);
    expect(states).toEqual(['connecting', 'connected']);
    expect(seen).toEqual(['hello']);
  });

  it('stays ended after the user’s exit', async () => {
    const { link, streams, notices } = bench();
    link.start();
    await settle();
    streams[0]?.events.onEnd(null);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(link.state).toBe('ended');
    expect(streams).toHaveLength(1);
    expect(notices).toEqual(['session ended']);
  });

  it('reconnects after a loss, with one line', async () => {
    const { link, streams, notices, states } = bench();
    link.start();
    await settle();
    streams[0]?.events.onEnd('The guest closed the connection.');
    expect(states.at(-1)).toBe('connecting');
    await vi.advanceTimersByTimeAsync(RETRY_DELAYS[0]);
    expect(link.state).toBe('connected');
    expect(streams).toHaveLength(2);
    expect(notices).toEqual(['The guest closed the connection; connecting again']);
  });

  it('waits while the VM is off and connects when it runs', async () => {
    const { link, streams, vm } = bench();
    link.start();
    await settle();
    vm.running = false;
    streams[0]?.events.onEnd(null);
    expect(link.state).toBe('waiting');
    link.checkVm();
    expect(link.state).toBe('waiting');
    vm.running = true;
    link.checkVm();
    await settle();
    expect(link.state).toBe('connected');
  });

  it('reconnects after a closed console', async () => {
    const { link, streams } = bench(false);
    link.start();
    await settle();
    streams[0]?.events.onEnd(null);
    await vi.advanceTimersByTimeAsync(RETRY_DELAYS[0]);
    expect(streams).toHaveLength(2);
  });

  it('keeps trying with growing delays, saying so once', async () => {
    const { link, streams, notices, vm } = bench();
    vm.refuse = new EngineError('guest.unreachable', 'No route to web.');
    link.start();
    await vi.advanceTimersByTimeAsync(RETRY_DELAYS[0] + RETRY_DELAYS[1]);
    vm.refuse = undefined;
    expect(streams).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(RETRY_DELAYS[2]);
    expect(link.state).toBe('connected');
    expect(notices).toEqual(['No route to web; connecting again']);
  });

  it('gives up when retrying is useless', async () => {
    const { link, notices, vm } = bench();
    vm.refuse = new EngineError('vm.missing', 'There is no VM web.');
    link.start();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(link.state).toBe('ended');
    expect(notices).toEqual(['There is no VM web.']);
  });

  it('drops the old stream when renewed and ignores its data', async () => {
    const { link, streams, seen, notices } = bench();
    link.start();
    await settle();
    link.renew('reverted to “before”');
    await settle();
    expect(streams[0]?.ended).toBe(true);
    streams[0]?.events.onData(new TextEncoder().encode('old'), () => undefined);
    streams[0]?.events.onEnd('late');
    expect(link.state).toBe('connected');
    expect(seen).toEqual([]);
    expect(notices).toEqual(['reverted to “before”; connecting again']);
  });

  it('does not reconnect what the user ended', async () => {
    const { link, streams } = bench();
    link.start();
    await settle();
    streams[0]?.events.onEnd(null);
    link.renew('reverted');
    await settle();
    expect(streams).toHaveLength(1);
  });

  it('says nothing after close', async () => {
    const { link, streams, states, notices } = bench();
    link.start();
    await settle();
    const before = states.length;
    link.close();
    streams[0]?.events.onEnd('x');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(states).toHaveLength(before);
    expect(notices).toEqual([]);
    expect(streams).toHaveLength(1);
  });
});
