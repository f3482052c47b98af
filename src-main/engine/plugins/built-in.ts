import { SERVICE_PROVIDERS } from '../guest/services.ts';
import { PLUGIN_API_VERSION, type Plugin } from './contract.ts';

/** What the engine itself brings, through the same door as everybody's plugins. Front doors add theirs. */
export const BUILT_IN: readonly Plugin[] = [
  { apiVersion: PLUGIN_API_VERSION, kind: 'vm', name: 'default' },
  { apiVersion: PLUGIN_API_VERSION, kind: 'vm-provider', name: 'local-libvirt', hosted: true },
  {
    // Machines that exist already and are only reached, as in Lago.
    apiVersion: PLUGIN_API_VERSION,
    kind: 'vm-provider',
    name: 'ssh',
    start: async () => await Promise.resolve(),
    stop: async () => await Promise.resolve(),
    state: async () => await Promise.resolve('running'),
  },
  ...SERVICE_PROVIDERS.map((provider): Plugin => ({ ...provider, apiVersion: PLUGIN_API_VERSION, kind: 'vm-service' })),
];
