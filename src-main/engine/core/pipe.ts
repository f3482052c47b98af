import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { EngineError } from '../../../src-shared/errors.ts';
import { Tail } from './tail.ts';

/** How a program ended whose stdin and stdout were a stream. */
export interface PipeEnd {
  /** Exit code; null for a killed process. */
  readonly code: number | null;
  /** The end of its stderr. */
  readonly stderr: string;
}

const STDERR_KEPT = 16 * 1024;

/**
 * Runs a program without a shell, with its stdin and stdout as one byte stream. Destroying the stream ends the program (SIGTERM). `ended`
 * resolves when it has ended in whatever way; it rejects with `host.missing-tool` when it is not installed, `host.denied` when it may not be
 * executed.
 */
export function openPipe(argv: readonly string[]): { readonly stream: Duplex; readonly ended: Promise<PipeEnd> } {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { env: { ...process.env, LC_ALL: 'C' }, stdio: ['pipe', 'pipe', 'pipe'] });
  const stderr = new Tail(STDERR_KEPT);
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin }) as Duplex;
  stream.on('close', () => child.kill('SIGTERM'));
  const ended = new Promise<PipeEnd>((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      const details = { program };
      if (error.code === 'ENOENT')
        reject(new EngineError('host.missing-tool', `The program ${program} is not installed.`, { cause: error, details }));
      else if (error.code === 'EACCES')
        reject(new EngineError('host.denied', `The program ${program} may not be executed.`, { cause: error, details }));
      else reject(error);
      stream.destroy();
    });
    child.on('close', (code) => {
      resolve({ code, stderr: stderr.toString() });
      // What it has printed last may still wait to be read.
      if (stream.readableEnded) stream.destroy();
      else stream.once('end', () => stream.destroy());
    });
  });
  return { stream, ended };
}
