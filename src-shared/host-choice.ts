import { z } from 'zod';

/** Where an environment's VMs run: a private host of its own, or a libvirt that exists already. */
export const HostChoice = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('embedded'), uplink: z.enum(['auto', 'none']).default('auto') }),
  z.object({ kind: z.literal('system'), uri: z.string() }),
]);
export type HostChoice = z.infer<typeof HostChoice>;
