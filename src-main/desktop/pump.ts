import type { Duplex } from 'node:stream';
import { type BytePort, openByteChannel } from '../../src-shared/byte-stream.ts';

/**
 * Connects an engine stream to a page's port until either ends. Back-pressure works both ways: the stream is paused while the page owes
 * acknowledgements, and the page gets credit back only when the stream has taken the bytes.
 */
export function pump(stream: Duplex, port: BytePort): void {
  const channel = openByteChannel(port, {
    onData(bytes, taken) {
      stream.write(bytes, (error) => {
        if (error === null || error === undefined) taken();
      });
    },
    onEnd: () => stream.destroy(),
    onDrain: () => {
      ready = true;
      send();
    },
  });
  let ready = true;
  /** Sends all that has arrived as one message. */
  function send(): void {
    while (ready) {
      const chunk = stream.read() as Uint8Array | null;
      if (chunk === null) return;
      // Structured clone would send the whole pool behind a small Buffer.
      const alone = chunk.byteLength === chunk.buffer.byteLength;
      ready = channel.write(alone ? chunk : new Uint8Array(chunk));
    }
  }
  stream.on('readable', send);
  stream.on('end', () => channel.end());
  stream.on('error', (error: Error) => channel.end(error.message));
  stream.on('close', () => channel.end());
}
