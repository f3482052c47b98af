/** A copy between this machine and a VM. */
export interface CopyRequest {
  readonly vm: string;
  /** Path on this machine; relative ones are relative to the current folder. */
  readonly local: string;
  /** Path in the VM; relative ones are relative to the home of the ssh user. */
  readonly remote: string;
}

export interface CopyResult {
  /** Where the copy is: a path on this machine or in the VM. */
  readonly target: string;
  /** Files and links. */
  readonly files: number;
  /** Bytes of content. */
  readonly bytes: number;
}
