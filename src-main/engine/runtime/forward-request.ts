export interface ForwardRequest {
  readonly vm: string;
  /** Port in the guest. */
  readonly port: number;
  /** Port on this machine. Default: the same one, or any free one if that is taken or reserved. */
  readonly localPort?: number | undefined;
}

/**
 * A port of this machine's loopback address that leads to a port of a VM. While the VM is off, connections are closed at once. Disposing
 * it ends it with its connections; it also ends when the environment is removed.
 */
export interface Forward extends AsyncDisposable {
  readonly id: string;
  readonly vm: string;
  readonly port: number;
  readonly localPort: number;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
}
