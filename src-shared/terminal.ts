import { z } from 'zod';

/**
 * State of a terminal: `connecting` also between two tries, `waiting` until its VM runs, `taken` while another program has the serial
 * console (output goes on where the VM's log tells it), `ended` until the user reconnects.
 */
export const TerminalStatus = z.enum(['connecting', 'connected', 'waiting', 'taken', 'ended']);
export type TerminalStatus = z.infer<typeof TerminalStatus>;

/** A session that the engine keeps: its screen, history and connection outlive the page that shows it. */
export const TerminalState = z.object({
  /** Chosen by the page that opened it. */
  id: z.string(),
  /** Id of the environment. */
  prefix: z.string(),
  vm: z.string(),
  kind: z.enum(['ssh', 'serial']),
  status: TerminalStatus,
});
export type TerminalState = z.infer<typeof TerminalState>;
