import type { ServedBy } from '../../../../src-shared/repos/packages-state.ts';
import type { ClientFile, ServedRepo } from '../../repos/serve/client-file.ts';

export interface ServeRequest {
  /** Default: as the environment says, else 8585. */
  readonly port?: number | undefined;
  /** Absolute path; default: the environment's merged packages. */
  readonly folder?: string | undefined;
  /** Who serves them; default: a command. */
  readonly by?: ServedBy;
}

/** Packages that are being served to the guests of an environment. */
export interface ServedPackages extends AsyncDisposable {
  /** `http://GATEWAY:PORT/`. */
  readonly url: string;
  readonly folder: string;
  /** What guests need to use them. */
  readonly clients: readonly (ServedRepo & ClientFile)[];
  /** Resolves when the server has ended, also because the environment was stopped. */
  readonly ended: Promise<unknown>;
}
