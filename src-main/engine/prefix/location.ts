/** The environment that a command refers to, as found on disk. */
export interface PrefixLocation {
  /** Absolute path of the prefix. */
  readonly path: string;
  readonly name: string;
  /** Absolute path of its workdir, null for a plain prefix. */
  readonly workdir: string | null;
}
