import { z } from 'zod';

/** Where an environment's VMs run: on a private host of its own, or on an existing libvirt. */
export const HostChoice = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('embedded'), uplink: z.enum(['auto', 'none']).default('auto') }),
  z.object({ kind: z.literal('system'), uri: z.string() }),
]);
export type HostChoice = z.infer<typeof HostChoice>;
