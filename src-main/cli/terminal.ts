/** Raw mode that can be undone. It is also undone when the process exits, as long as exit handlers run. */
export interface RawTerminal {
  restore(): void;
}

/** Puts a terminal into raw mode, in which each key arrives at once and Ctrl-C is a key. Does nothing to a pipe or file. */
export function rawMode(stdin: NodeJS.ReadStream): RawTerminal {
  if (stdin.isTTY !== true) return { restore: () => undefined };
  stdin.setRawMode(true);
  const restore = (): void => {
    process.removeListener('exit', restore);
    stdin.setRawMode(false);
  };
  process.once('exit', restore);
  return { restore };
}
