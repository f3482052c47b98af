import { expect, test } from 'vitest';
import { Convoy } from './convoy.ts';

const { signal } = new AbortController();

test('a VM begins when no other has more to write than it has itself', async () => {
  const convoy = new Convoy(
    new Map([
      ['small', 100],
      ['large', 1000],
      ['off', 5000],
    ]),
  );
  const begun: string[] = [];
  const turn = async (domain: string): Promise<void> => {
    await convoy.turn(domain, signal);
    begun.push(domain);
  };
  const small = turn('small');
  convoy.done('off');
  await turn('large');
  convoy.progress('large', 101);
  await convoy.turn('large', signal);
  expect(begun).toEqual(['large']);
  convoy.progress('large', 100);
  await small;
  expect(begun).toEqual(['large', 'small']);
});

test('of equal VMs nobody waits, nor for one that is done', async () => {
  const convoy = new Convoy(
    new Map([
      ['a', 100],
      ['b', 100],
      ['c', 200],
    ]),
  );
  convoy.done('c');
  await Promise.all([convoy.turn('a', signal), convoy.turn('b', signal)]);
});

test('nobody waits any more once one of them is stopped', async () => {
  const convoy = new Convoy(
    new Map([
      ['small', 100],
      ['large', 1000],
    ]),
  );
  convoy.halt();
  await convoy.turn('small', signal);
  expect(convoy.halted).toBe(true);
});

test('waiting can be cancelled', async () => {
  const convoy = new Convoy(
    new Map([
      ['small', 100],
      ['large', 1000],
    ]),
  );
  await expect(convoy.turn('small', AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
});
