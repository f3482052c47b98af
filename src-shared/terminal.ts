import { z } from 'zod';

/**
 * State of a terminal: `connecting` also between two tries, `waiting` until its VM runs, `taken` while another program has the serial
 * console (output goes on where the VM's log tells it), `ended` until the user reconnects.
 */
export const TerminalStatus = z.enum(['connecting', 'connected', 'waiting', 'taken', 'ended']);
export type TerminalStatus = z.infer<typeof TerminalStatus>;
