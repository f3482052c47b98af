import { SERVICE_PROVIDERS } from '../guest/services.ts';
import { PLUGIN_API_VERSION, type Plugin } from './contract.ts';
import { OVIRT } from './ovirt/plugins.ts';

/** The engine's built-in plugins, registered like any others. Front doors add theirs. */
export const BUILT_IN: readonly Plugin[] = [
  { apiVersion: PLUGIN_API_VERSION, kind: 'vm', name: 'default' },
  { apiVersion: PLUGIN_API_VERSION, kind: 'vm-provider', name: 'local-libvirt', hosted: true },
  {
    // Existing machines that are only connected to, as in Lago.
    apiVersion: PLUGIN_API_VERSION,
    kind: 'vm-provider',
    name: 'ssh',
    start: async () => await Promise.resolve(),
    stop: async () => await Promise.resolve(),
    state: async () => await Promise.resolve('running'),
  },
  ...SERVICE_PROVIDERS.map((provider): Plugin => ({ ...provider, apiVersion: PLUGIN_API_VERSION, kind: 'vm-service' })),
  ...OVIRT,
];
