import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { LeaseOwner } from './leases.ts';

/** A folder for a store and its owners, in memory if possible. */
export async function makeLeaseFolder(): Promise<string> {
  return await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'lago-leases-'));
}

/** A minimal prefix, as leases need it. */
export async function makeOwner(root: string, name: string): Promise<LeaseOwner> {
  const uuid = name.padEnd(32, '0');
  const uuidPath = join(root, name, 'uuid');
  await mkdir(join(root, name), { recursive: true });
  await writeFile(uuidPath, uuid);
  return { uuidPath, uuid };
}

interface Outcome {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

/** Runs a script in its own process. */
export async function runScript(script: string, args: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, ['-e', script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, output, errors };
}

/** Bundles the lease store into one file that plain Node can load. */
export async function bundledStore(folder: string): Promise<string> {
  const outfile = join(folder, 'leases.cjs');
  await build({
    entryPoints: [join(import.meta.dirname, 'leases.ts')],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    outfile,
    logLevel: 'error',
  });
  return outfile;
}
