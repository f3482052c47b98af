import { useEffect, useState } from 'react';
import type { WireError } from '../../src-shared/errors.ts';
import type { MergedPackages } from '../../src-shared/repos/merged-packages.ts';
import type { RepoExplanation } from '../../src-shared/repos/package-repos.ts';
import type { PrefixState } from '../../src-shared/state.ts';
import { readError } from '../engine-client.ts';
import { useEngine } from '../engine-context.ts';
import { useConnection } from '../live-cache.ts';

/** What the engine says of an environment's packages; undefined until it has. */
export interface Packages {
  readonly merged: MergedPackages | undefined;
  readonly problem: WireError | undefined;
  /** Which sections of its repository files are used; undefined when it has no such files. */
  readonly explained: RepoExplanation | undefined;
  readonly unexplained: WireError | undefined;
}

const NOTHING: Packages = { merged: undefined, problem: undefined, explained: undefined, unexplained: undefined };

/** Reads them, and again when the environment's state says that something was merged, or is served, or is not any more. */
export function usePackages({ id, packages, host }: PrefixState): Packages {
  const { connection } = useEngine();
  const connected = useConnection().status === 'connected';
  const [read, setRead] = useState<Packages>(NOTHING);
  const state = JSON.stringify([packages ?? null, host.status]);

  useEffect(() => {
    if (!connected) return undefined;
    const abort = new AbortController();
    void load();
    return () => abort.abort();

    async function load(): Promise<void> {
      const { client } = connection;
      try {
        const merged = await client.repos.merged({ prefix: id }, { signal: abort.signal });
        if (abort.signal.aborted) return;
        setRead((known) => ({ ...known, merged, problem: undefined }));
        if ((merged.declared?.files.length ?? 0) === 0) return;
      } catch (error) {
        if (!abort.signal.aborted) setRead((known) => ({ ...known, problem: readError(error) }));
        return;
      }
      try {
        const explained = await client.repos.explain({ prefix: id }, { signal: abort.signal });
        if (!abort.signal.aborted) setRead((known) => ({ ...known, explained, unexplained: undefined }));
      } catch (error) {
        if (!abort.signal.aborted) setRead((known) => ({ ...known, unexplained: readError(error) }));
      }
    }
  }, [connection, connected, id, state]);
  return read;
}
