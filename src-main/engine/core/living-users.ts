import { EngineError } from '../../../src-shared/errors.ts';
import { readTextFile } from './files/text-file.ts';

/** Of the recorded users of something shared (a prefix's `uuid` file → its content) those that still exist. An unreadable one counts as living. */
export async function livingUsers(known: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const users: Record<string, string> = {};
  for (const [file, uuid] of Object.entries(known)) {
    const living = await readTextFile(file).then(
      (text) => text === uuid,
      (error: unknown) => {
        if (error instanceof EngineError && error.code === 'host.denied') return true;
        throw error;
      },
    );
    if (living) users[file] = uuid;
  }
  return users;
}
