/** What the exit codes mean; `exitCodeOf` in errors.ts assigns them. */
export const EXIT_CODES: readonly (readonly [string, string])[] = [
  ['0', 'It worked.'],
  ['1', 'An error of the program itself; also "lago" without a verb.'],
  ['2', 'The command line, an input file or a name in it is wrong.'],
  ['3', 'The machine lacks something: a tool, a permission, space.'],
  ['4', 'Something else holds what is needed: a lock, a subnet.'],
  ['5', 'A server could not be reached or gave something wrong; a retry may help.'],
  ['6', 'A VM does not answer or refused.'],
  ['7', 'libvirt refused.'],
  ['128 + N', 'Ended by signal N, after undoing what was begun.'],
];
