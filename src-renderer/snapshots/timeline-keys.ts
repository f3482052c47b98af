/** Key → id of the action on the selected snapshot (`point-actions.ts`), in the picture and in the table. */
export const POINT_KEYS: Readonly<Record<string, string>> = {
  Enter: 'revert',
  f: 'fork',
  c: 'compare',
  p: 'pin',
  F2: 'edit',
  Delete: 'remove',
};
