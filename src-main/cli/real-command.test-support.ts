import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { freeStaleLeases, listLeases, openEngine, readSpecs } from '../engine/index.ts';
import { runCommandLine } from './command-line.ts';

export interface RealOutcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function sink(): { readonly stream: NodeJS.WriteStream; text(): string } {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => text };
}

/** Runs a command line in this process on the real engine, without lago.conf and with only PATH from the environment. */
export async function realCommand(cwd: string, argv: readonly string[]): Promise<RealOutcome> {
  const [out, err] = [sink(), sink()];
  const stdin = new PassThrough();
  stdin.end();
  const code = await runCommandLine(argv, {
    cwd,
    environment: { PATH: process.env['PATH'], HOME: cwd },
    stdin: stdin as unknown as NodeJS.ReadStream,
    stdout: out.stream,
    stderr: err.stream,
    door: { openEngine, readSpecs, listLeases, freeStaleLeases },
    resourcesDir: join(import.meta.dirname, '../../resources'),
    command: ['lago'],
    version: '0.0.0',
    signal: new AbortController().signal,
    configFiles: [],
  });
  return { code, out: out.text(), err: err.text() };
}
