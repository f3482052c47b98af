export interface ForkRequest {
  /** Name of the new environment, beside the one that it is a fork of. */
  readonly name: string;
  /** The snapshot that it begins with; without one, the present. */
  readonly snapshot?: string | undefined;
}
