import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { say } from './report.ts';
import { root } from './sandbox.ts';

/** Runs tests in a child process until they end or time is up; returns whether all passed. Shows their output if not. */
export async function vitest(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  until: number,
  signal: AbortSignal,
): Promise<boolean> {
  signal.throwIfAborted();
  return await new Promise((done, fail) => {
    const child = spawn(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...args], {
      cwd: root,
      env: { ...process.env, ...env, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: until - Date.now() + 120_000,
      signal,
    });
    let text = '';
    for (const pipe of [child.stdout, child.stderr]) {
      pipe.on('data', (chunk: Buffer) => {
        text = (text + chunk.toString()).slice(-20_000);
      });
    }
    child.on('error', fail);
    child.on('close', (code) => {
      if (code !== 0) say(text);
      done(code === 0);
    });
  });
}
