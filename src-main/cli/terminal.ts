/** Raw mode that can be taken back; also taken back when the process exits in any way that runs exit handlers. */
export interface RawTerminal {
  restore(): void;
}

/** Puts a terminal into raw mode (keys arrive one by one, Ctrl-C is a key); does nothing to a pipe or file. */
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
