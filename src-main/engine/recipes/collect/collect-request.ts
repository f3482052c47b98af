import type { Collection } from '../../../../src-shared/collection.ts';

export interface CollectRequest {
  /** Names of VMs; without any, all VMs. */
  readonly vms?: readonly string[] | undefined;
  /** Folder to collect to, absolute. An existing one is renamed. Default: a new one in the environment. */
  readonly output?: string | undefined;
  /** Paths that are missing in a VM are an error. They are reported in any case. */
  readonly noSkip?: boolean | undefined;
  readonly why?: Collection['why'] | undefined;
}
