import { DEB, RPM } from '../../src-main/engine/repos/kinds.test-support.ts';

/** The engine's own server of repositories on loopback, and the repositories of its tests. */
export {
  type RepositoryServer,
  startRepositoryServer,
} from '../../src-main/engine/repos/fetch/repository-server.test-support.ts';

/** An invented package, and where it is below its repository. */
export type Package = ReturnType<typeof RPM.make>;

export const rpm = (name: string, version: string, size = 300): Package => RPM.make(name, version, size);
export const rpmRepository = (packages: readonly Package[]): ReadonlyMap<string, Buffer> => RPM.serve(packages);
export const debArchive = (...names: readonly string[]): ReadonlyMap<string, Buffer> =>
  DEB.serve(names.map((name) => DEB.make(name, '1', 300)));
