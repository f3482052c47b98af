import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/json-file.ts';

/** Where QEMU writes the memory of one VM: a unix socket, since QEMU may neither start programs nor open files in its sandbox. */
export interface MemorySink {
  /** The socket as QEMU's address of a migration. */
  readonly uri: string;
  /** Bytes that have arrived so far. */
  arrived(): number;
  /** The number of bytes, once QEMU has closed its end. `host.no-space` and the like when the file could not be written. */
  written(): Promise<number>;
}

/** A socket (its path has at most 107 bytes) and the file to which its bytes go. */
export interface SinkPlace {
  readonly socket: string;
  readonly file: string;
}

/** Sinks in the order of their places. Disposing them lets them end when QEMU does; files stay. */
export interface MemorySinks extends AsyncDisposable {
  readonly sinks: readonly MemorySink[];
}

/** Short whatever the VM's name. */
export function memorySocket(socketDir: string, domain: string): string {
  return join(socketDir, `${createHash('sha256').update(domain).digest('hex').slice(0, 12)}.mem`);
}

export type OpenMemorySinks = (places: readonly SinkPlace[]) => Promise<MemorySinks>;

const Report = z.object({
  listening: z.boolean().optional(),
  sink: z.number().optional(),
  bytes: z.number().optional(),
  done: z.number().optional(),
  error: z.string().optional(),
});

type Outcome = { readonly bytes: number } | { readonly error: unknown };

/** What is known of one sink so far. */
export class SinkProgress {
  bytes = 0;
  #outcome: Outcome | undefined;
  readonly #waiting: (() => void)[] = [];

  /** Only the first one counts. */
  end(outcome: Outcome): void {
    this.#outcome ??= outcome;
    for (const go of this.#waiting.splice(0)) go();
  }

  async written(): Promise<number> {
    while (this.#outcome === undefined) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if ('error' in this.#outcome) throw this.#outcome.error;
    return this.#outcome.bytes;
  }
}

function notWritten(file: string, code: string): unknown {
  const told = diskError(Object.assign(new Error(code), { code }), file);
  return told instanceof EngineError ? told : new EngineError('host.unavailable', `The memory could not be written to ${file}: ${code}.`);
}

/**
 * Opens sinks in a process of their own, `memory-sink.cjs` of the resources, which says why: it takes what QEMU writes to the end, even when
 * this process is killed or a file cannot be written. Each takes one connection; files must not exist, and only their owner can read them.
 */
export function memorySinks(resourcesDir: string): OpenMemorySinks {
  return async (places) => {
    const words = places.flatMap(({ socket, file }) => [socket, file]);
    const child = spawn(process.execPath, [join(resourcesDir, 'host/memory-sink.cjs'), ...words], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], ELECTRON_RUN_AS_NODE: '1' },
    });
    const told = places.map(() => new SinkProgress());
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-2000);
    });
    child.stdin.on('error', () => undefined);
    const failed = (cause?: unknown): EngineError =>
      new EngineError('host.unavailable', `The process that takes the memory of VMs ended: ${stderr.trim() || 'it did not say why'}.`, {
        cause,
      });
    const listening = new Promise<void>((resolve, reject) => {
      child.on('error', (error) => reject(failed(error)));
      child.on('close', () => reject(failed()));
      createInterface({ input: child.stdout }).on('line', (line) => {
        const report = Report.parse(JSON.parse(line));
        if (report.listening === true) resolve();
        const one = report.sink === undefined ? undefined : told[report.sink];
        const place = report.sink === undefined ? undefined : places[report.sink];
        if (one === undefined || place === undefined) return;
        one.bytes = report.bytes ?? report.done ?? one.bytes;
        if (report.done !== undefined) one.end({ bytes: report.done });
        if (report.error !== undefined) one.end({ error: notWritten(place.file, report.error) });
      });
    });
    child.on('close', () => {
      for (const one of told) one.end({ error: failed() });
    });
    await listening;
    child.unref();
    return {
      sinks: places.map(({ socket }, index) => ({
        uri: `unix:${socket}`,
        arrived: () => told[index]?.bytes ?? 0,
        written: async () => (await told[index]?.written()) ?? 0,
      })),
      async [Symbol.asyncDispose]() {
        for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.destroy();
        await Promise.resolve();
      },
    };
  };
}
