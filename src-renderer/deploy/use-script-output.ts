import { useEffect, useState } from 'react';
import { readError } from '../engine-client.ts';
import { useEngine } from '../engine-context.ts';
import { useConnection } from '../live-cache.ts';
import { addOutput, NO_OUTPUT, type OutputLines } from './output-lines.ts';

export interface ScriptOutput {
  readonly output: OutputLines;
  /** Why it cannot be read. */
  readonly problem: string | undefined;
}

/** Output of the last run of a VM's script, kept up to date while the component is mounted. `startedAt` identifies the run. */
export function useScriptOutput(prefix: string, vm: string, script: number, startedAt: number | null): ScriptOutput {
  const { connection } = useEngine();
  const connected = useConnection().status === 'connected';
  const [read, setRead] = useState<ScriptOutput>({ output: NO_OUTPUT, problem: undefined });

  useEffect(() => {
    if (!connected) return undefined;
    const abort = new AbortController();
    void follow();
    return () => abort.abort();

    async function follow(): Promise<void> {
      let output = NO_OUTPUT;
      setRead({ output, problem: undefined });
      if (startedAt === null) return;
      try {
        for await (const piece of await connection.client.prefix.deployOutput({ prefix, vm, script }, { signal: abort.signal })) {
          if (abort.signal.aborted) return;
          output = addOutput(output, piece);
          setRead({ output, problem: undefined });
        }
      } catch (error) {
        if (!abort.signal.aborted) setRead({ output, problem: readError(error).message });
      }
    }
  }, [connection, connected, prefix, vm, script, startedAt]);
  return read;
}
