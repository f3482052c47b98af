import { join } from 'node:path';
import { z } from 'zod';

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
  /** File that gets the server's process, as `core/process-identity.ts` reads it. */
  readonly identity?: string;
}

/** What the server calls itself in the header `Server`. */
export const SERVER_NAME = 'lago-repo';
/** The `User-Agent` of whoever only looks whether it is there, from its own address: that is not logged. */
export const PROBE = 'lago-probe';

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

/** The server `repo-server.cjs` of the resources. */
export function repoServer(resourcesDir: string, spec: RepoServerSpec): RepoServer {
  return {
    argv: [process.execPath, join(resourcesDir, 'host/repo-server.cjs'), JSON.stringify(spec)],
    env: { ELECTRON_RUN_AS_NODE: '1' },
    report(line) {
      if (!line.startsWith('{"')) return undefined;
      return Report.parse(JSON.parse(line));
    },
  };
}
