import type { HostChoice } from '../../../src-shared/host-choice.ts';

export interface CreateRequest {
  readonly initFile: string;
  readonly workdir: string;
  /** Prefix name inside the workdir. */
  readonly name: string;
  readonly host?: HostChoice;
  /** Start it when it is made. */
  readonly start: boolean;
  readonly setCurrent?: boolean;
  readonly skipBootstrap?: boolean;
  readonly skipBuild?: boolean;
  /**
   * Files that the init file may use although they lie outside of its folder, and folders with all that is in them. `inspect` lists those that
   * it names (`outside`); without a yes they are errors.
   */
  readonly allowPaths?: readonly string[];
}
