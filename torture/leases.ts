import type { Torture } from './contract.ts';
import { vitest } from './vitest-run.ts';

/** Number of leases at full size; processes and rounds are set in the test itself, and each round takes four. */
const TAKEN = 64 * 40 * 4;

/** Many processes take and return leases at once; at full size if there is time. */
export async function leases({ budget, report }: Torture): Promise<void> {
  const size = budget.short ? {} : { LEASES_FULL: '1' };
  const passed = await vitest(['--project', 'lab', 'src-main/engine/net/leases.lab.test.ts'], size, budget.until, budget.signal);
  if (passed) report.inputs += budget.short ? 0 : TAKEN;
  else report.failed('leases', 1, 'leases.lab.test.ts', new Error('A lease was held twice or lost, see above.'));
}
