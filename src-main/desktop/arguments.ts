import path from 'node:path';

/** The window's command-line arguments. */
export interface StartArguments {
  /** Absolute path of the file to open; null if none was given. */
  readonly open: string | null;
  /** Folder for new environments; undefined for the default. */
  readonly workdir: string | undefined;
}

/**
 * Reads the command line `electron [flags] [APP] [--workdir=DIR] [FILE]`. With `unpackaged`, the first plain argument is the
 * application's own folder. Relative paths are resolved against `cwd`.
 */
export function readArguments(argv: readonly string[], unpackaged: boolean, cwd: string): StartArguments {
  const plain = argv.slice(1).filter((argument) => !argument.startsWith('-'));
  const file = plain[unpackaged ? 1 : 0];
  const prefix = '--workdir=';
  const workdir = argv.find((argument) => argument.startsWith(prefix))?.slice(prefix.length);
  return {
    open: file === undefined || file === '' ? null : path.resolve(cwd, file),
    workdir: workdir === undefined || workdir === '' ? undefined : path.resolve(cwd, workdir),
  };
}
