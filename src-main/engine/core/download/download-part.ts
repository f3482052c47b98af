import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { z } from 'zod';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError, readJson, writeJson } from '../files/json-file.ts';

const Marks = z.object({
  /** As requested, before redirects. */
  url: z.string(),
  etag: z.string().optional(),
  modified: z.string().optional(),
  total: z.number().nullable(),
});
/** Identifies one version of a remote file. */
export type Marks = z.infer<typeof Marks>;

/** The bytes downloaded so far, kept on disk so that the download can be resumed. */
export interface Part {
  /** Bytes kept of the file with these marks; 0 without marks. */
  readonly size: number;
  readonly marks: Marks | undefined;
  /** It holds bytes of another download, which may still be resumed. */
  readonly foreign: boolean;
  /** Starts over with a file of these marks. */
  restart(marks: Marks): Promise<void>;
  /** Appends from `offset` on, overwriting what is there. */
  resume(offset: number): void;
  append(chunk: Buffer): Promise<void>;
  /** Its first `length` bytes. */
  read(length: number): AsyncIterable<Buffer>;
  close(): Promise<void>;
  /** Closes and deletes it. */
  remove(): Promise<void>;
}

const CHUNK = 1024 * 1024;

/** Opens the part at `path` (and `path.json`), creating it if needed. The caller needs exclusive access. `host.denied`, `host.no-space`. */
export async function openPart(path: string, url: string): Promise<Part> {
  const about = `${path}.json`;
  let file: FileHandle;
  let found: Marks | undefined;
  let size = 0;
  try {
    file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    found = await readMarks(about);
    ({ size } = await file.stat());
  } catch (error) {
    throw diskError(error, path);
  }
  const known = found?.url === url ? found : undefined;
  let position = 0;
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (isOpen) await file.close();
    isOpen = false;
  };
  return {
    size: known === undefined ? 0 : Math.min(size, known.total ?? size),
    marks: known,
    foreign: size > 0 && known === undefined,
    async restart(marks) {
      try {
        await file.truncate(0);
      } catch (error) {
        throw diskError(error, path);
      }
      position = 0;
      await writeJson(about, marks);
    },
    resume(offset) {
      position = offset;
    },
    async append(chunk) {
      try {
        for (let written = 0; written < chunk.length; ) {
          written += (await file.write(chunk, written, chunk.length - written, position + written)).bytesWritten;
        }
      } catch (error) {
        throw diskError(error, path);
      }
      position += chunk.length;
    },
    async *read(length) {
      for (let at = 0; at < length; ) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(CHUNK, length - at)), 0, undefined, at);
        if (bytesRead === 0) throw new EngineError('remote.unreachable', `${path} became shorter while it was read.`);
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    },
    close,
    async remove() {
      await close();
      await rm(path, { force: true });
      await rm(about, { force: true });
    },
  };
}

/** Unreadable marks count as none: the download starts over. */
async function readMarks(path: string): Promise<Marks | undefined> {
  return await readJson(path, Marks).catch((error: unknown) => {
    if (error instanceof EngineError && error.code !== 'host.denied') return undefined;
    throw error;
  });
}
