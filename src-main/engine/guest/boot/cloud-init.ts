import { z } from 'zod';
import type { SshConnection } from '../ssh.ts';

/** Prints the result once cloud-init has written it; a guest without cloud-init (it reads its seed itself) counts as finished. */
const ASK =
  'if [ -e /run/cloud-init/result.json ]; then cat /run/cloud-init/result.json; ' +
  'elif command -v cloud-init >/dev/null 2>&1; then echo running; else echo none; fi';

const Result = z.object({ v1: z.object({ errors: z.array(z.string()).default([]) }) });

/** Asks a guest whether its cloud-init has finished, and whether with errors; undefined while it is at work. */
export async function askCloudInit(
  connection: Pick<SshConnection, 'exec'>,
  signal: AbortSignal,
): Promise<{ readonly failed: string | undefined } | undefined> {
  const { code, stdout } = await connection.exec(ASK, { signal, maxOutput: 64 * 1024 });
  const said = stdout.trim();
  if (code !== 0 || said === 'running' || said === '') return undefined;
  if (said === 'none') return { failed: undefined };
  try {
    const { v1 } = Result.parse(JSON.parse(said));
    return {
      failed:
        v1.errors.length === 0
          ? undefined
          : v1.errors
              .join('; ')
              .replace(/\p{Cc}/gu, ' ')
              .slice(0, 300),
    };
  } catch (error) {
    return { failed: `its result cannot be read: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}` };
  }
}
