import type { HostChoice } from '../../../src-shared/host/host-choice.ts';

export interface CreateRequest {
  readonly initFile: string;
  readonly workdir: string;
  /** Prefix name inside the workdir. */
  readonly name: string;
  readonly host?: HostChoice;
  /** Start it once it is created. */
  readonly start: boolean;
  readonly setCurrent?: boolean;
  readonly skipBootstrap?: boolean;
  readonly skipBuild?: boolean;
  /**
   * Files outside of its folder that the init file may use; a folder allows everything in it. `inspect` lists the ones it names
   * (`outside`); without permission they are errors.
   */
  readonly allowPaths?: readonly string[];
}
