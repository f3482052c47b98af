import { createInterface } from 'node:readline';
import { toWireError, type WireError } from '../../../../src-shared/errors.ts';
import { createLog } from '../../core/log.ts';
import type { EmbeddedHost, EmbeddedHostSpec } from '../host.ts';
import { findEmbeddedHost, startEmbeddedHost } from './embedded.ts';

/*
 * A separate process for the lab tests, which can be killed, run as another user, or put into a network namespace. Reads one command a line
 * from stdin and answers each with one line.
 */

/** First argument: the host to work on. */
export interface DriverSetup {
  readonly spec: EmbeddedHostSpec;
  readonly resourcesDir: string;
}

export type DriverCommand = { readonly op: 'start' | 'find' | 'stop' } | { readonly op: 'run'; readonly argv: readonly string[] };

export type DriverAnswer =
  | {
      readonly ok: true;
      readonly pid?: number;
      readonly uri?: string;
      readonly uplink?: string;
      readonly text?: string;
      readonly code?: number | null;
    }
  | { readonly ok: false; readonly error: WireError };

async function obey(command: DriverCommand, setup: DriverSetup): Promise<DriverAnswer> {
  const options = { resourcesDir: setup.resourcesDir, log: createLog((_level, message) => process.stderr.write(`${message}\n`)) };
  if (command.op === 'start') return describe(await startEmbeddedHost(setup.spec, options));
  const host = await findEmbeddedHost(setup.spec, options);
  if (command.op === 'find') return host === undefined ? { ok: true } : describe(host);
  if (command.op !== 'run') {
    await host?.stop();
    return { ok: true };
  }
  if (host === undefined) throw new Error('The host does not run.');
  const result = await host.run(command.argv);
  return { ok: true, code: result.code, text: result.stdout + result.stderr };
}

function describe(host: EmbeddedHost): DriverAnswer {
  return { ok: true, pid: host.pid, uri: host.uri, uplink: host.uplink };
}

async function main(): Promise<void> {
  const setup = JSON.parse(process.argv[2] ?? '') as DriverSetup;
  for await (const line of createInterface({ input: process.stdin })) {
    let answer: DriverAnswer;
    try {
      answer = await obey(JSON.parse(line) as DriverCommand, setup);
    } catch (error) {
      answer = { ok: false, error: toWireError(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

await main();
