import { join } from 'node:path';
import type { EngineSettings } from './settings.ts';

/** Settings for a test that starts nothing: all folders are inside `folder`. */
export function settingsIn(folder: string, more: Partial<EngineSettings> = {}): EngineSettings {
  return {
    host: 'embedded',
    uplink: 'none',
    accelerator: 'tcg',
    leaseDir: join(folder, 'leases'),
    templateStore: join(folder, 'store'),
    templateRepos: join(folder, 'repos'),
    templateRepoPath: undefined,
    templateRepoName: undefined,
    sshUser: 'root',
    sshPassword: '123456',
    sshTries: 100,
    sshTimeout: 10,
    defaultVmType: 'default',
    defaultVmProvider: 'local-libvirt',
    defaultRootPassword: undefined,
    ...more,
  };
}
