import { join } from 'node:path';
import type { RpcConnection } from '../src-main/engine/libvirt/rpc/connection.ts';
import { dialLibvirt } from '../src-main/engine/libvirt/rpc/dial.ts';
import { procedures } from '../src-main/engine/libvirt/rpc/protocol.ts';
import { startTestDaemon } from '../src-main/engine/libvirt/rpc/test-daemon.test-support.ts';
import { parseLibvirtUri } from '../src-main/engine/libvirt/rpc/uri.ts';
import { median, root, runTimed, say } from './support/measure.ts';
import { pythonWith } from './support/python.ts';

/** Our libvirt client, compared with libvirt's own library, on libvirtd's test driver, which itself costs next to nothing. */
export const title = 'calls to libvirtd against python3-libvirt (C library): median of one at a time, calls a second with 64 at once';
export const goal = 'latency <= 0.8, throughput >= 1.1';

const CALLS = 10_000;
const AT_ONCE = 64;
const ROUNDS = 7;

interface Figures {
  /** µs */
  readonly p50: number;
  readonly perSecond: number;
}

async function lookUp(connection: RpcConnection): Promise<void> {
  await connection.call(procedures.domainLookupByName, { name: 'test' }, 'Looking for VM test');
}

async function oneAtATime(connection: RpcConnection): Promise<number> {
  const times = new Float64Array(CALLS);
  for (let i = 0; i < CALLS; i++) {
    const began = performance.now();
    await lookUp(connection);
    times[i] = performance.now() - began;
  }
  return median([...times]) * 1000;
}

async function manyAtOnce(connection: RpcConnection): Promise<number> {
  const began = performance.now();
  const each = Math.floor(CALLS / AT_ONCE);
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let i = 0; i < each; i++) await lookUp(connection);
    }),
  );
  return (each * AT_ONCE) / ((performance.now() - began) / 1000);
}

/** Opens and closes like the reference, so that both use a fresh connection in each round. */
async function ours(uri: string): Promise<Figures> {
  const connection = await dialLibvirt(parseLibvirtUri(uri), {});
  try {
    for (let i = 0; i < 1000; i++) await lookUp(connection);
    const p50 = await oneAtATime(connection);
    const passes = [await manyAtOnce(connection), await manyAtOnce(connection), await manyAtOnce(connection)];
    return { p50, perSecond: median(passes) };
  } finally {
    connection.close();
  }
}

async function reference(python: string, socket: string): Promise<Figures> {
  const uri = `test+unix:///default?socket=${socket}`;
  const { stdout } = await runTimed({
    argv: [python, join(root, 'bench/reference/libvirt-calls.py'), uri, String(CALLS), String(AT_ONCE)],
  });
  const [p50, perSecond] = stdout.trim().split(' ').map(Number);
  if (p50 === undefined || perSecond === undefined) throw new Error(`Unexpected figures of python3-libvirt: ${stdout}`);
  return { p50, perSecond };
}

export async function run(): Promise<Record<string, number>> {
  const python = await pythonWith('libvirt', 'python3-libvirt');
  await using daemon = await startTestDaemon();
  const uri = `test:///default?socket=${daemon.socket}`;
  const rounds: { readonly us: Figures; readonly them: Figures }[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const them = await reference(python, daemon.socket);
    const us = await ours(uri);
    // The first round is a warm-up.
    if (round === 0) continue;
    rounds.push({ us, them });
    say(
      `  round ${round}: reference ${them.p50.toFixed(1)} µs, ${them.perSecond.toFixed(0)} calls/s; ` +
        `ours ${us.p50.toFixed(1)} µs, ${us.perSecond.toFixed(0)} calls/s`,
    );
  }
  return {
    latency: median(rounds.map(({ us, them }) => us.p50 / them.p50)),
    throughput: median(rounds.map(({ us, them }) => us.perSecond / them.perSecond)),
    ours_us: median(rounds.map(({ us }) => us.p50)),
    reference_us: median(rounds.map(({ them }) => them.p50)),
    ours_per_s: Math.round(median(rounds.map(({ us }) => us.perSecond))),
    reference_per_s: Math.round(median(rounds.map(({ them }) => them.perSecond))),
  };
}
