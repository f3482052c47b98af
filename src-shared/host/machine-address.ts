/** Another machine, reached by ssh. What is undefined is left to the user's ssh configuration. */
export interface MachineAddress {
  /** A name, an address or an alias of the ssh configuration; never something that a program takes for an option. */
  readonly host: string;
  readonly user: string | undefined;
  readonly port: number | undefined;
  /** An ssh configuration to use in place of the user's; an absolute path. */
  readonly config: string | undefined;
}

const ADDRESS =
  /^ssh:\/\/(?:([A-Za-z0-9_][A-Za-z0-9_.-]*)@)?([A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:]+\])(?::(\d{1,5}))?\/?(?:\?config=(\/[^?#&\s]+))?$/;

/** Reads `ssh://[user@]machine[:port][?config=/path]`; undefined for anything else. */
export function parseMachineAddress(uri: string): MachineAddress | undefined {
  const [, user, host = '', digits, config] = ADDRESS.exec(uri) ?? [];
  const port = digits === undefined ? undefined : Number(digits);
  if (host === '' || (port !== undefined && (port < 1 || port > 65_535))) return undefined;
  return { host: host.replace(/^\[|\]$/g, ''), user, port, config };
}

/** What people call the machine: `user@machine`. */
export function machineName({ host, user }: MachineAddress): string {
  return user === undefined ? host : `${user}@${host}`;
}
