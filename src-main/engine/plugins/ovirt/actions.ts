import type { VerbCall } from '../contract.ts';

/** Options, and the actions they belong to. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  junitxml_file: ['runtest'],
  python: ['runtest'],
};

/** Does what a command line of `lago ovirt` says, and returns the exit code. */
export async function runAction(call: VerbCall): Promise<number> {
  const action = text(call, 'action') ?? '';
  for (const [name, owners] of Object.entries(OPTIONS)) {
    if (call.values[name] !== undefined && !owners.includes(action)) {
      call.fail(`argument --${name.replaceAll('_', '-')}: only "ovirt ${owners.join('" and "ovirt ')}" has it.`);
    }
  }
  switch (action) {
    case 'runtest': {
      const [file = ''] = take(call, action, ['FILE']);
      const { runtest } = await import('./runtest/runtest.ts');
      return await runtest(call, { file, junitxml: text(call, 'junitxml_file'), python: text(call, 'python') });
    }
    default:
      return call.fail(`"ovirt ${action}" is not known.`);
  }
}

function text(call: VerbCall, name: string): string | undefined {
  const value = call.values[name];
  return typeof value === 'string' ? value : undefined;
}

/** The words after the action, exactly as many as it needs. */
function take(call: VerbCall, action: string, wanted: readonly string[]): readonly string[] {
  const given = call.values['args'];
  const words = Array.isArray(given) ? (given as readonly string[]) : [];
  if (words.length === wanted.length) return words;
  const what = words.length < wanted.length ? 'something is missing' : `there is too much: ${words.slice(wanted.length).join(' ')}`;
  return call.fail(`ovirt ${action}: ${what}.`, `Write: ${['lago ovirt', action, ...wanted].join(' ')}`);
}
