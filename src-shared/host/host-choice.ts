import { z } from 'zod';
import { parseMachineAddress } from './machine-address.ts';

/** Where an environment's VMs run: on a private host of its own, here or on another machine, or on an existing libvirt. */
export const HostChoice = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('embedded'), uplink: z.enum(['auto', 'none']).default('auto') }),
  z.object({ kind: z.literal('system'), uri: z.string() }),
  z.object({
    kind: z.literal('remote'),
    /** `ssh://[user@]machine[:port]`. */
    uri: z.string().refine((uri) => parseMachineAddress(uri) !== undefined, 'is not ssh://user@machine'),
    uplink: z.enum(['auto', 'none']).default('auto'),
  }),
]);
export type HostChoice = z.infer<typeof HostChoice>;
