import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { type BytePort, openByteChannel, WINDOW } from '../../src-shared/byte-stream.ts';
import { pump } from './pump.ts';

const ports: MessagePort[] = [];
afterEach(() => {
  for (const port of ports.splice(0)) port.close();
});

function channel(): [BytePort, BytePort] {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  const adapt = (port: MessagePort): BytePort => ({
    post: (message) => port.postMessage(message),
    onMessage: (listener) => port.on('message', listener),
    onClose: (listener) => port.on('close', listener),
    close: () => port.close(),
  });
  return [adapt(port1), adapt(port2)];
}

/** Lets the message queues run in both directions. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test('bytes arrive in both directions and the end with them', async () => {
  const [near, far] = channel();
  const written: Buffer[] = [];
  const stream = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk);
      done();
    },
  });
  pump(stream, near);
  const got: number[] = [];
  const ended = new Promise<string | null>((resolve) => {
    const page = openByteChannel(far, {
      onData(bytes, taken) {
        got.push(...bytes);
        taken();
      },
      onEnd: resolve,
    });
    page.write(Uint8Array.of(1, 2, 3));
  });
  // A slice of a pooled buffer: only its own bytes may be sent.
  stream.push(Buffer.from([9, 8, 7, 6]).subarray(1, 3));
  await settle();
  expect([...Buffer.concat(written)]).toEqual([1, 2, 3]);
  stream.push(null);
  expect(await ended).toBeNull();
  expect(got).toEqual([8, 7]);
});

test('a page that takes nothing pauses the stream, and its credit resumes it', async () => {
  const [near, far] = channel();
  const chunk = Buffer.alloc(64 * 1024, 1);
  let produced = 0;
  const stream = new Duplex({
    highWaterMark: chunk.length,
    read() {
      produced += chunk.length;
      this.push(chunk);
    },
    write: (_chunk, _encoding, done) => done(),
  });
  const owed: (() => void)[] = [];
  let received = 0;
  openByteChannel(far, {
    onData(bytes, taken) {
      received += bytes.byteLength;
      owed.push(taken);
    },
    onEnd: () => undefined,
  });
  pump(stream, near);
  await expect.poll(() => received).toBe(WINDOW);
  await settle();
  expect(received).toBe(WINDOW);
  expect(produced).toBeLessThanOrEqual(WINDOW + 3 * chunk.length);
  for (const taken of owed.splice(0)) taken();
  await expect.poll(() => received).toBe(2 * WINDOW);
  stream.destroy();
});

test('the page gets credit back only when the stream has taken the bytes', async () => {
  const [near, far] = channel();
  let release: (() => void) | undefined;
  const stream = new Duplex({
    read: () => undefined,
    write(_chunk, _encoding, done) {
      release = done;
    },
  });
  pump(stream, near);
  let drained = 0;
  const page = openByteChannel(far, {
    onData: (_bytes, taken) => taken(),
    onEnd: () => undefined,
    onDrain: () => {
      drained += 1;
    },
  });
  expect(page.write(new Uint8Array(WINDOW))).toBe(false);
  await expect.poll(() => release !== undefined).toBe(true);
  await settle();
  expect(drained).toBe(0);
  release?.();
  await expect.poll(() => drained).toBe(1);
  stream.destroy();
});

test('an error of the stream ends the channel with its sentence', async () => {
  const [near, far] = channel();
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  pump(stream, near);
  const reason = new Promise<string | null>((resolve) => {
    openByteChannel(far, { onData: (_bytes, taken) => taken(), onEnd: resolve });
  });
  stream.destroy(new Error('The VM web was stopped.'));
  expect(await reason).toBe('The VM web was stopped.');
});

test('a page that goes away ends the stream', async () => {
  const [near] = channel();
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  pump(stream, near);
  const closed = once(stream, 'close');
  ports[1]?.close();
  await closed;
  expect(stream.destroyed).toBe(true);
});

test('what arrives together is one message, and credit comes back in few', async () => {
  const [near, far] = channel();
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  let acks = 0;
  pump(stream, { ...near, onMessage: (listener) => near.onMessage((message) => (acks++, listener(message))) });
  const sizes: number[] = [];
  openByteChannel(far, {
    onData(bytes, taken) {
      sizes.push(bytes.byteLength);
      taken();
    },
    onEnd: () => undefined,
  });
  for (let index = 0; index < 64; index++) stream.push(Buffer.alloc(1024));
  await settle();
  expect(sizes).toEqual([64 * 1024]);
  expect(acks).toBe(1);
  for (let index = 0; index < 4; index++) {
    stream.push(Buffer.alloc(WINDOW / 16));
    await settle();
  }
  expect(sizes.length).toBe(5);
  expect(acks).toBe(2);
});
