const NAME = /^[\w][\w.-]{0,63}$/;

/** Why a snapshot cannot have this name; undefined when it can. */
export function nameProblem(name: string, taken: readonly string[]): string | undefined {
  if (name === '') return 'Give it a name';
  if (!NAME.test(name)) return 'Letters, digits, “.”, “_” and “-” only, not beginning with “.” or “-”';
  if (taken.includes(name)) return `There is a snapshot “${name}” already`;
  return undefined;
}

/** An unused name: `snapshot-1`, `snapshot-2`… or `BASE-2` when BASE is taken. */
export function freeName(base: string, taken: readonly string[]): string {
  if (!taken.includes(base)) return base;
  const stem = base.replace(/-\d+$/, '');
  let number = 2;
  while (taken.includes(`${stem}-${number}`)) number += 1;
  return `${stem}-${number}`;
}
