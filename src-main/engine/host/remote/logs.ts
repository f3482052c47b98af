import type { HostLogs } from '../host.ts';
import { FAR_NO, farError, type RemoteMachine } from './machine.ts';

/** Enough for the first line: inode and size. */
const HEAD_LIMIT = 64;

/** The logs of an environment on another machine. `name` gives the path of a log within the environment. */
export function remoteLogs(machine: RemoteMachine, id: string, name: (path: string) => string): HostLogs {
  return {
    async tail(path, bytes) {
      const { stream, ended } = await machine.farPipe(['log-tail', id, name(path), String(bytes)]);
      stream.end();
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      const end = await ended;
      if (end.code === FAR_NO) return undefined;
      if (end.code !== 0) throw farError(machine, `${path} cannot be read`, end);
      return splitTail(Buffer.concat(chunks));
    },
    async *follow(path, from, signal) {
      if (signal.aborted) return;
      const { inode, offset } = from ?? (await this.tail(path, 0))?.end ?? { inode: 0, offset: 0 };
      const { stream } = await machine.farPipe(['log-follow', id, name(path), String(inode), String(offset)]);
      const stop = (): void => void stream.destroy();
      signal.addEventListener('abort', stop, { once: true });
      try {
        for await (const chunk of stream) yield chunk as Buffer;
      } catch (error) {
        // Destroying the stream ends the reading.
        if (!signal.aborted) throw error;
      } finally {
        signal.removeEventListener('abort', stop);
        stream.destroy();
      }
    },
  };
}

/** The answer of `far.sh log-tail`: a line with inode and size, then the bytes. */
export function splitTail(answer: Buffer): Awaited<ReturnType<HostLogs['tail']>> {
  const end = answer.subarray(0, HEAD_LIMIT).indexOf(10);
  const [, inode, size] = /^(\d+) (\d+)$/.exec(answer.subarray(0, Math.max(0, end)).toString('latin1')) ?? [];
  if (inode === undefined || size === undefined) return undefined;
  return { bytes: answer.subarray(end + 1), end: { inode: Number(inode), offset: Number(size) } };
}
