export interface ForkRequest {
  /** Name of the new environment, beside the one that it is a fork of; with `count`, the beginning of their names. */
  readonly name: string;
  /** The snapshot that it begins with; without one, the present. */
  readonly snapshot?: string | undefined;
  /** How many to make at once, all of the same moment: `NAME-1`, `NAME-2`… Without it, one that has the name as it is. */
  readonly count?: number | undefined;
}
