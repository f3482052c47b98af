import { join } from 'node:path';
import { z } from 'zod';
import { ServedBy } from '../../../../src-shared/repos/packages-state.ts';

/** What is served, and where. */
export interface RepoServerSpec {
  readonly folder: string;
  /** An address of the place where the program runs: a gateway. */
  readonly address: string;
  /** 0: any that is free. */
  readonly port: number;
  /** File that gets a line for each request (`RepoAccess`); kept within twice `logLimit` bytes, with the one before it, `LOG.0`. */
  readonly log: string;
  readonly logLimit?: number;
  /** Addresses of VMs → their names. */
  readonly vms: Readonly<Record<string, string>>;
  /** File that is there while it serves: `RepoServerNotice`. A server that was killed leaves it. */
  readonly notice?: { readonly path: string; readonly by: ServedBy };
}

/** What the server calls itself in the header `Server`. */
export const SERVER_NAME = 'lago-repo';
/** The `User-Agent` of whoever only looks whether it is there, from its own address: that is not logged. */
export const PROBE = 'lago-probe';

/** What a server writes about itself. The pid is that in the place where it runs, as the start time and the boot in `core/process-identity.ts`. */
export const RepoServerNotice = z.object({
  address: z.string(),
  port: z.number(),
  folder: z.string(),
  by: ServedBy,
  pid: z.number(),
  startTime: z.string(),
  boot: z.string(),
});
export type RepoServerNotice = z.infer<typeof RepoServerNotice>;

/** What the server tells of itself when it begins: where it listens, or the name of a system error, after which it has ended. */
export type RepoServerReport = { readonly address: string; readonly port: number } | { readonly error: string };

/** A program that serves packages, to be run in the network of the guests. It ends by SIGTERM. */
export interface RepoServer {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Reads a line of its output; undefined for any other line. */
  report(line: string): RepoServerReport | undefined;
}

const Report = z.union([
  z.object({ listening: z.object({ address: z.string(), port: z.number() }) }).transform(({ listening }) => listening),
  z.object({ error: z.string() }),
]);

const ENV = { ELECTRON_RUN_AS_NODE: '1' };

function argvOf(resourcesDir: string, wanted: RepoServerSpec | { readonly end: string }): readonly string[] {
  return [process.execPath, join(resourcesDir, 'host/repo-server.cjs'), JSON.stringify(wanted)];
}

/** A program that ends the server with this notice, to be run where that server runs. */
export function repoServerEnd(resourcesDir: string, notice: string): Pick<RepoServer, 'argv' | 'env'> {
  return { argv: argvOf(resourcesDir, { end: notice }), env: ENV };
}

/** The server `repo-server.cjs` of the resources. */
export function repoServer(resourcesDir: string, spec: RepoServerSpec): RepoServer {
  return {
    argv: argvOf(resourcesDir, spec),
    env: ENV,
    report(line) {
      if (!line.startsWith('{"')) return undefined;
      return Report.parse(JSON.parse(line));
    },
  };
}
