import { expect, test } from 'vitest';
import { zoomAfter, zoomStep } from './zoom.ts';

const key = (name: string, code: string, more: object = {}): Parameters<typeof zoomStep>[0] => ({
  type: 'keyDown',
  key: name,
  code,
  control: true,
  alt: false,
  meta: false,
  ...more,
});

test.each([
  ['=', 'Equal', 'in'],
  ['+', 'Equal', 'in'],
  ['+', 'BracketRight', 'in'],
  ['+', 'NumpadAdd', 'in'],
  ['-', 'Minus', 'out'],
  ['-', 'NumpadSubtract', 'out'],
  ['0', 'Digit0', 'reset'],
  ['à', 'Digit0', 'reset'],
  ['0', 'Numpad0', 'reset'],
  ['_', 'Minus', undefined],
  ['a', 'KeyA', undefined],
])('Ctrl and %s of %s means %s', (name, code, step) => {
  expect(zoomStep(key(name, code))).toBe(step);
});

test('a key without Ctrl, with Alt or on release is ignored', () => {
  expect(zoomStep(key('=', 'Equal', { control: false }))).toBeUndefined();
  expect(zoomStep(key('=', 'Equal', { alt: true }))).toBeUndefined();
  expect(zoomStep(key('=', 'Equal', { type: 'keyUp' }))).toBeUndefined();
});

test('steps go through the factors of browsers and stop at the ends', () => {
  const up = [1];
  for (let step = 0; step < 8; step++) up.push(zoomAfter(up.at(-1) ?? 0, 'in'));
  expect(up).toEqual([1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3]);
  expect(zoomAfter(1.0999, 'out')).toBe(1);
  expect(zoomAfter(0.5, 'out')).toBe(0.5);
  expect(zoomAfter(2.5, 'reset')).toBe(1);
});
