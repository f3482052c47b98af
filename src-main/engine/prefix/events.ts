import { appendFile, readFile, stat } from 'node:fs/promises';
import { TimelineEvent } from '../../../src-shared/snapshot/timeline.ts';
import { diskError, writeFileAtomic } from '../core/files/json-file.ts';
import { valueOfLine } from '../core/files/json-lines.ts';
import type { PrefixPaths } from './layout.ts';

/** As many events are kept. */
const KEPT = 300;
/** From this size on the file is shortened. */
const LARGE = 256 * 1024;
const LABEL_LETTERS = 500;

/**
 * Adds an event to the prefix's journal, which is a line of JSON for each. Any process may do so at any time, without the lock: one that
 * another process adds while the file is being shortened may be lost.
 */
export async function addEvent(paths: PrefixPaths, event: TimelineEvent): Promise<void> {
  const line = JSON.stringify({ ...event, label: event.label.slice(0, LABEL_LETTERS) });
  try {
    // A line that was cut off by a kill ends here, too.
    await appendFile(paths.events, `\n${line}\n`, { mode: 0o644 });
    if ((await stat(paths.events)).size < LARGE) return;
  } catch (error) {
    throw diskError(error, paths.events);
  }
  const kept = await readEvents(paths);
  await writeFileAtomic(paths.events, kept.map((one) => `${JSON.stringify(one)}\n`).join(''));
}

/** The last events, oldest first. Lines that are not whole are left out; a prefix of an older version has none. */
export async function readEvents(paths: PrefixPaths): Promise<TimelineEvent[]> {
  let text: string;
  try {
    text = await readFile(paths.events, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw diskError(error, paths.events);
  }
  return text.split('\n').flatMap(eventOf).slice(-KEPT);
}

function eventOf(line: string): readonly TimelineEvent[] {
  return valueOfLine(line, TimelineEvent);
}
