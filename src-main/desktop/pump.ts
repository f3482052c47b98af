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
    onDrain: () => stream.resume(),
  });
  stream.on('data', (chunk: Uint8Array) => {
    // Copied, because structured clone would send the whole pool behind a small Buffer.
    if (!channel.write(new Uint8Array(chunk))) stream.pause();
  });
  stream.on('end', () => channel.end());
  stream.on('error', (error: Error) => channel.end(error.message));
  stream.on('close', () => channel.end());
}
