import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { TemplateVersion } from './repository.ts';

export const MIB = 1024 * 1024;

export function sha1(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}

/** All files of a store with their content, except lock files and partial downloads. */
export function contentsOf(store: string): Record<string, string> {
  if (!existsSync(store)) return {};
  const files = readdirSync(store, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && !/\.(?:lock|part|part\.json)$/.test(entry.name),
  );
  return Object.fromEntries(files.map((entry) => [entry.name, sha1(readFileSync(join(entry.parentPath, entry.name)))]));
}

export function templateVersion(url: string, over: Partial<TemplateVersion> = {}): TemplateVersion {
  const version = { repository: 'office', template: 'el7', version: 'v1', timestamp: 1, url, checksums: {}, ...over };
  return { ...version, fullName: `${version.repository}:${version.template}:${version.version}` };
}

/** A raw image with data at both ends and a hole in between. */
export function rawImage(): Buffer {
  const image = Buffer.alloc(4 * MIB);
  randomBytes(100_000).copy(image);
  randomBytes(5000).copy(image, image.length - 5000);
  return image;
}

interface Ended {
  readonly path?: string;
  readonly grownBy?: number;
  readonly error?: string;
}

export interface FetchingProcess {
  readonly child: ChildProcess;
  /** Resolves when the process reports that it is waiting for another one. */
  readonly waiting: Promise<void>;
  /** The image's path and the process's peak growth in MiB, or the error code; undefined when it was killed. */
  readonly ended: Promise<Ended | undefined>;
}

/** Fetches a template into a store in a separate process. */
export function fetchInProcess(store: string, template: TemplateVersion): FetchingProcess {
  const program = `
    import { openStore } from ${JSON.stringify(resolve(import.meta.dirname, 'store.ts'))};
    const [store, template] = process.argv.slice(1);
    const before = process.memoryUsage().rss / 1024;
    let told = false;
    const progress = (_, detail) => {
      if (told || !detail?.startsWith('waiting')) return;
      told = true;
      console.log('waiting');
    };
    try {
      const { path } = await openStore(store, { download: { env: {}, backOffMs: 1 } }).fetch(JSON.parse(template), { progress });
      console.log(JSON.stringify({ path, grownBy: Math.round((process.resourceUsage().maxRSS - before) / 1024) }));
    } catch (error) {
      console.log(JSON.stringify({ error: error.code ?? String(error) }));
    }`;
  const loader = resolve(import.meta.dirname, '../../../scripts/typescript.mjs');
  const argv = ['--import', loader, '--input-type=module', '-e', program, store, JSON.stringify(template)];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  const waiting = new Promise<void>((done) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.startsWith('waiting\n')) done();
    });
  });
  const ended = new Promise<Ended | undefined>((done) => {
    child.on('close', () => {
      const last = output.trim().split('\n').at(-1) ?? '';
      done(last.startsWith('{') ? (JSON.parse(last) as Ended) : undefined);
    });
  });
  return { child, waiting, ended };
}
