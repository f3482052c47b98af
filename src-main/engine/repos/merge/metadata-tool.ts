import { EngineError } from '../../../../src-shared/errors.ts';
import { type RunOptions, type RunResult, runChecked } from '../../core/run.ts';

const CREATEREPO = 'Install createrepo-c on Debian and Ubuntu, createrepo_c on Fedora, CentOS, openSUSE and others.';

/** What to install to have these programs. */
const HINTS = {
  createrepo_c: CREATEREPO,
  modifyrepo_c: CREATEREPO,
  'apt-ftparchive': 'Install apt-utils, on Debian, Ubuntu and Fedora. Other distributions do not have it: leave Debian packages out there.',
} as const;

export interface ToolOptions extends RunOptions {
  /** A file for its output, which may be large, in place of the result's `stdout`. Relative to `cwd`. */
  readonly outputFile?: string;
}

/** The shell's exit code for a program that there is not. */
const NOT_FOUND = 127;

/**
 * Runs a program that reads packages or makes metadata of them; any exit code but 0 is an error, as in `runChecked`. Without the program,
 * `host.missing-tool` says which package to install.
 */
export async function runMetadataTool(
  program: keyof typeof HINTS,
  args: readonly string[],
  message: string,
  { outputFile, ...options }: ToolOptions,
): Promise<RunResult> {
  const argv =
    outputFile === undefined ? [program, ...args] : ['sh', '-c', 'file=$1; shift; exec "$@" >"$file"', 'sh', outputFile, program, ...args];
  try {
    return await runChecked(argv, message, options);
  } catch (error) {
    if (!(error instanceof EngineError) || !(error.code === 'host.missing-tool' || error.details['exit'] === NOT_FOUND)) throw error;
    throw new EngineError('host.missing-tool', `${message} The program ${program} is not installed.`, {
      hint: HINTS[program],
      details: { program },
      cause: error,
    });
  }
}
