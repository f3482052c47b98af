import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestPhase } from './test-report.ts';

/** What the pytest plugin of `lago_testlib` tells. */
export type TestMessage =
  | { readonly event: 'start'; readonly id: string; readonly name: string }
  /** It has just failed, and waits for what is to be done before it goes on. */
  | { readonly event: 'failed'; readonly id: string }
  | ({ readonly event: 'phase'; readonly id: string } & TestPhase)
  | { readonly event: 'end'; readonly id: string; readonly output: string };

/** Where the tests tell how they go: a socket in a folder of its own. */
export interface TestChannel extends AsyncDisposable {
  readonly path: string;
  /** Settles once all that was told is handled; after the tests have ended. */
  handled(): Promise<void>;
}

/**
 * Opens the channel. `handle` is called with one message after the other; the tests wait after `failed` until it has settled. A message
 * that is not understood is an error of `handled`.
 */
export async function openTestChannel(handle: (message: TestMessage) => Promise<void>): Promise<TestChannel> {
  const folder = await mkdtemp(join(tmpdir(), 'lago-tests-'));
  const path = join(folder, 'socket');
  const sockets = new Set<Socket>();
  const reading: Promise<Error | undefined>[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    reading.push(readMessages(socket, handle));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    path,
    async handled() {
      for (const failure of await Promise.all(reading)) if (failure !== undefined) throw failure;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Resolves when the tests have said all, with the failure that made it stop before. */
async function readMessages(socket: Socket, handle: (message: TestMessage) => Promise<void>): Promise<Error | undefined> {
  // A killed interpreter resets the connection; then its exit says what happened.
  socket.on('error', () => socket.destroy());
  try {
    for await (const line of createInterface({ input: socket })) {
      const message = parseMessage(line);
      await handle(message);
      if (message.event === 'failed' && socket.writable) socket.write('go on\n');
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    // The tests end when nobody listens any more.
    socket.destroy();
  }
}

function parseMessage(line: string): TestMessage {
  const value = JSON.parse(line) as Readonly<Record<string, unknown>>;
  const text = (key: string): string => {
    const found = value[key];
    if (typeof found !== 'string') throw new Error(`What pytest told has no ${key}: ${line.slice(0, 200)}`);
    return found;
  };
  const id = text('id');
  const event = text('event');
  switch (event) {
    case 'start':
      return { event, id, name: text('name') };
    case 'failed':
      return { event, id };
    case 'end':
      return { event, id, output: text('output') };
    case 'phase': {
      const { seconds } = value;
      const [during, outcome] = [text('during') as TestPhase['during'], text('outcome') as TestPhase['outcome']];
      return {
        event,
        id,
        during,
        outcome,
        seconds: typeof seconds === 'number' ? seconds : 0,
        message: text('message'),
        text: text('text'),
      };
    }
    default:
      throw new Error(`What pytest told is not known: ${line.slice(0, 200)}`);
  }
}
